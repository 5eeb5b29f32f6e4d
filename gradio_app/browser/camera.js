// The visitor's camera, shown by a <video>.

const NO_CAMERAS = "This browser gives its camera to pages over HTTPS or on localhost only. Open the page that way.";
const REFUSALS = {
    NotAllowedError: "The camera was refused. Allow it in the browser's settings for this page, then try again.",
    NotFoundError: "No camera was found. Connect one, then try again.",
    OverconstrainedError: "The chosen camera is gone. Try again to use another.",
    NotReadableError: "The camera is in use by another program. Close that one, then try again.",
};
const GONE = "The camera was disconnected. Connect it again, then try again.";

class Camera {
    /**
     * @param {HTMLVideoElement} video
     * @param {() => void} onGone told when the camera is taken away
     */
    constructor(video, onGone) {
        this.video = video;
        this.onGone = onGone;
        this.stream = null;
    }

    /**
     * Open a camera and show it. Another one that was open is closed.
     * @param {MediaTrackConstraints} which the camera, by its deviceId or facingMode
     * @throws {Error} whose message is a sentence for the visitor
     */
    async open(which) {
        this.close();
        if (!navigator.mediaDevices) throw new Error(NO_CAMERAS);
        const size = {width: {ideal: 640}, height: {ideal: 480}};
        let stream;
        try {
            stream = await navigator.mediaDevices.getUserMedia({video: {...size, ...which}, audio: false});
        } catch (error) {
            throw new Error(REFUSALS[error.name] ?? `The camera cannot be used: ${error.message}`);
        }
        this.stream = stream;
        for (const track of stream.getVideoTracks()) {
            track.addEventListener("ended", () => {
                if (this.stream !== stream) return;
                this.close();
                this.onGone();
            });
        }
        this.video.srcObject = stream;
        await this.video.play().catch(() => {}); // closed in between
    }

    close() {
        const stream = this.stream;
        this.stream = null;
        this.video.srcObject = null;
        for (const track of stream?.getTracks() ?? []) track.stop();
    }

    get isOpen() {
        return this.stream !== null;
    }

    /** The settings of the open camera; deviceId and facingMode where the browser knows them. */
    get settings() {
        return this.stream?.getVideoTracks()[0]?.getSettings() ?? {};
    }

    /** All cameras; they have names once one was allowed. */
    async list() {
        const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
        return devices.filter((device) => device.kind === "videoinput" && device.deviceId);
    }
}

/**
 * A frame as a data: URL of a JPEG file, scaled down.
 * @param {HTMLVideoElement} video
 * @param {HTMLCanvasElement} canvas to draw it on
 * @param {number} side the longer side at most, in pixels
 */
function takeFrame(video, canvas, side) {
    const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
    const width = Math.max(1, Math.round(video.videoWidth * scale));
    const height = Math.max(1, Math.round(video.videoHeight * scale));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    canvas.getContext("2d", {alpha: false, willReadFrequently: true}).drawImage(video, 0, 0, width, height);
    return canvas.toDataURL("image/jpeg", 0.85);
}
