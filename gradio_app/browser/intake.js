// How photos come in: a file dialogue, drop, paste, the camera. Each ends in `take(files)`.

const ACCEPTED = "image/*,.heic,.heif,.avif,.jfif,.tif,.tiff,.ppm,.pgm";

/**
 * Let photos be dropped and pasted anywhere on the page while a part of it is shown.
 * @param {HTMLElement} element the part; it gets the class pr-dropping while a file is over the page
 * @param {(files: File[]) => void} take
 * @param {(sentence: string) => void} refuse
 */
function wireIntake(element, take, refuse) {
    const isShown = () => element.offsetParent !== null;
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0; // of the elements that the pointer has entered

    const over = (event) => {
        if (!isShown() || !event.dataTransfer) return;
        event.preventDefault(); // or the browser opens what is dropped instead of the page
        event.dataTransfer.dropEffect = "copy";
    };
    document.addEventListener("dragover", over);
    document.addEventListener("dragenter", (event) => {
        over(event);
        depth += 1;
        element.classList.toggle("pr-dropping", isShown() && hasFiles(event));
    });
    document.addEventListener("dragleave", () => {
        depth = Math.max(0, depth - 1);
        if (!depth) element.classList.remove("pr-dropping");
    });
    document.addEventListener("drop", (event) => {
        depth = 0;
        element.classList.remove("pr-dropping");
        if (!isShown() || !event.dataTransfer) return;
        event.preventDefault();
        event.stopPropagation();
        const files = [...event.dataTransfer.files];
        if (files.length) take(files);
        else refuse("Only files can be dropped here. Save the picture first, or copy it and press Ctrl-V.");
    }, true);
    document.addEventListener("paste", (event) => {
        if (!isShown() || /^(INPUT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "radio") return;
        const files = [...(event.clipboardData?.files ?? [])];
        if (files.length) {
            event.preventDefault();
            take(files);
        }
    });
}

/**
 * A button that opens the file dialogue, several files at once.
 * @param {string} text
 * @param {(files: File[]) => void} take
 * @param {Object} attributes of the input
 */
function makeUpload(text, take, attributes = {}) {
    const input = make("input", {type: "file", accept: ACCEPTED, multiple: true, "aria-label": "Choose photos", class: "pr-unseen", tabindex: "-1", ...attributes});
    input.addEventListener("change", () => {
        const files = [...input.files];
        input.value = ""; // so that the same file can be chosen again
        if (files.length) take(files);
    });
    return make("span", {class: "pr-upload"}, makeButton(text, "", () => input.click(), {class: "pr-button pr-primary"}), input);
}

/** The camera in a dialogue: one picture is taken. */
class Snapshot {
    /**
     * @param {(files: File[]) => void} take
     * @param {(sentence: string) => void} refuse
     */
    constructor(take, refuse) {
        this.refuse = refuse;
        this.video = make("video", {autoplay: true, playsinline: true, muted: true, "aria-label": "The camera's picture"});
        this.video.muted = true;
        this.camera = new Camera(this.video, () => this.element.close());
        const shoot = makeButton("Take the photo", "", () => this._shoot(take), {class: "pr-button pr-primary"});
        const cancel = makeButton("Cancel", "", () => this.element.close(), {class: "pr-button"});
        this.element = make("dialog", {class: "pr-camera", "aria-label": "Take a photo", on: {close: () => this.camera.close()}},
            this.video, make("div", {class: "pr-row"}, shoot, cancel));
    }

    async open() {
        try {
            await this.camera.open({width: {ideal: 1920}, height: {ideal: 1440}, facingMode: "environment"});
            this.element.showModal();
        } catch (error) {
            this.refuse(error.message);
        }
    }

    _shoot(take) {
        const {videoWidth: width, videoHeight: height} = this.video;
        if (!width) return; // no picture yet
        const canvas = make("canvas", {width, height});
        canvas.getContext("2d").drawImage(this.video, 0, 0);
        this.element.close();
        canvas.toBlob((blob) => take([new File([blob], "camera.jpg", {type: "image/jpeg"})]), "image/jpeg", 0.95);
    }
}
