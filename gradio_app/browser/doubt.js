// Where the model is unsure: the photo in grey, and colour over pixels that may or may not belong to an object. The
// server draws the same at the photo's own size (pointrend/visualize/uncertainty.py).

const UNSURE = "Where unsure";
const DOUBT_RAMP = [[87, 16, 110], [137, 34, 106], [187, 55, 84], [227, 89, 51], [249, 140, 10], [249, 201, 50]];
const GREY_SHARE = 0.6; // of the photo's brightness, so that the colours stand out

/** Asks for the probabilities of a result when the view needs them, once for each. */
class DoubtView {
    /** @param {Viewer} viewer whose results and jobs it uses */
    constructor(viewer) {
        this.viewer = viewer;
        this.element = make("p", {id: "unsure-note", hidden: true, text: "Purple: a little unsure. Yellow: as likely part of the object as not."});
    }

    update() {
        const {scene, choice, jobs, send} = this.viewer;
        this.element.hidden = choice.view !== UNSURE;
        if (choice.view !== UNSURE || !scene || scene.isPending || scene.doubts) return;
        if ([jobs.current, ...jobs.waiting].some((job) => job?.doubtOf === scene)) return;
        const job = jobs.add(scene.name, async (job) => {
            jobs.reach("network");
            send("photo", {ticket: job.ticket, doubt: scene.id});
        });
        job.doubtOf = scene;
    }

    /** @param {{crops: ({x: number, y: number, png: string} | null)[]}} message of each object, in the photo's pixels */
    async receive(job, {crops}) {
        const doubts = await Promise.all(crops.map((crop) => crop && loadDoubt(crop)));
        if (!this.viewer.jobs.of(job.ticket)) return;
        job.doubtOf.doubts = doubts;
        this.viewer.jobs.finish();
        this.viewer.stage.draw();
    }
}

/** A crop's doubt as a grey canvas, black where the model is sure, and its left and top in the photo. */
async function loadDoubt({x, y, png}) {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(picture, 0, 0);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let place = 0; place < image.data.length; place += 4) {
        const level = image.data[place];
        const doubt = level === 0 || level === 255 ? 0 : 2 * Math.min(level, 255 - level) + 1;
        image.data.fill(doubt, place, place + 3);
    }
    context.putImageData(image, 0, 0);
    return {canvas, x, y};
}

/**
 * The photo in grey with the doubt about some of its objects.
 * @param {Scene} scene
 * @param {number[]} shown places of objects
 */
function paintDoubt(scene, shown) {
    const {width, height} = scene;
    const layer = document.createElement("canvas");
    layer.width = width;
    layer.height = height;
    const context = layer.getContext("2d", {willReadFrequently: true});
    context.drawImage(scene.photo, 0, 0, width, height);
    const image = context.getImageData(0, 0, width, height);
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = "lighten"; // of several objects the least certain counts
    const scale = width / scene.size[0];
    for (const index of shown) {
        const doubt = scene.doubts?.[index];
        if (doubt) context.drawImage(doubt.canvas, doubt.x * scale, doubt.y * scale, doubt.canvas.width * scale, doubt.canvas.height * scale);
    }
    const doubts = context.getImageData(0, 0, width, height).data;
    const {data} = image;
    for (let place = 0; place < data.length; place += 4) {
        const grey = GREY_SHARE * (0.299 * data[place] + 0.587 * data[place + 1] + 0.114 * data[place + 2]);
        const level = doubts[place] / 255, step = level * (DOUBT_RAMP.length - 1);
        const lower = DOUBT_RAMP[Math.floor(step)], upper = DOUBT_RAMP[Math.ceil(step)], rest = step % 1;
        for (let channel = 0; channel < 3; channel++) {
            data[place + channel] = grey * (1 - level) + level * (lower[channel] * (1 - rest) + upper[channel] * rest);
        }
    }
    context.globalCompositeOperation = "source-over";
    context.putImageData(image, 0, 0);
    return layer;
}
