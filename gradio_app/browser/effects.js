// What may be done to everything but the chosen objects. The server does the same at the photo's own size
// (pointrend/visualize/effects.py).

const EFFECTS = ["Transparent", "Blur", "Grey", "Colour", "Picture"];
const BLUR_SHARE = 1 / 60; // the blur's radius as a share of the photo's longer side

/**
 * A photo with an effect behind objects, clear where the effect is transparency.
 * @param {Scene} scene
 * @param {number[]} kept places of the objects that stay as they are
 * @param {{effect: string, colour: string, picture: CanvasImageSource | null}} choice
 */
function applyEffect(scene, kept, choice) {
    const canvas = document.createElement("canvas");
    canvas.width = scene.width;
    canvas.height = scene.height;
    const context = canvas.getContext("2d");
    paintBackground(context, scene, choice);
    const objects = softCutout(scene, kept);
    if (objects) context.drawImage(objects.canvas, objects.x, objects.y);
    return canvas;
}

function paintBackground(context, scene, choice) {
    const {width, height} = scene;
    if (choice.effect === "Blur") {
        paintBlurred(context, scene);
    } else if (choice.effect === "Grey") {
        context.drawImage(scene.photo, 0, 0, width, height);
        context.globalCompositeOperation = "saturation";
        context.fillStyle = "#808080";
        context.fillRect(0, 0, width, height);
        context.globalCompositeOperation = "source-over";
    } else if (choice.effect === "Colour") {
        context.fillStyle = choice.colour;
        context.fillRect(0, 0, width, height);
    } else if (choice.effect === "Picture" && choice.picture) {
        const picture = choice.picture;
        const scale = Math.max(width / picture.width, height / picture.height);
        const drawn = [picture.width * scale, picture.height * scale];
        context.drawImage(picture, (width - drawn[0]) / 2, (height - drawn[1]) / 2, ...drawn);
    }
}

function paintBlurred(context, scene) {
    const {width, height, photo} = scene;
    const radius = BLUR_SHARE * Math.max(width, height);
    if ("filter" in context) {
        context.filter = `blur(${radius}px)`;
        // Drawn larger, or the edges would fade into nothing.
        context.drawImage(photo, -2 * radius, -2 * radius, width + 4 * radius, height + 4 * radius);
        context.filter = "none";
        return;
    }
    // Safari has no filters: made small and large again, which blurs as well.
    const small = document.createElement("canvas");
    small.width = Math.max(1, Math.round(width / radius));
    small.height = Math.max(1, Math.round(height / radius));
    small.getContext("2d").drawImage(photo, 0, 0, small.width, small.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, width, height);
}
