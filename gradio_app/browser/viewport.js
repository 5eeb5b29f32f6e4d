// Which part of the photo the stage shows, and how large: zoom and pan by wheel, pinch, drag and keys.

const MOST_ZOOM = 16; // times the size at which the whole photo fits
const WHEEL_STEP = 0.0016;
const KEY_STEP = 40; // CSS pixels

/** Maps the photo's pixels to the stage's CSS pixels: screen = photo * scale + offset. */
class Viewport {
    constructor() {
        this.stage = {width: 1, height: 1};
        this.photo = {width: 1, height: 1};
        this.reset();
    }

    /** Show the whole photo: a small one is enlarged, a large one made to fit. */
    reset() {
        this.zoom = 1;
        this.centre = [0.5, 0.5];
    }

    /** @param {{width: number, height: number}} stage in CSS pixels */
    resize(stage) {
        this.stage = stage;
    }

    get scale() {
        return this.zoom * Math.min(this.stage.width / this.photo.width, this.stage.height / this.photo.height);
    }

    get offset() {
        return [
            this.stage.width / 2 - this.centre[0] * this.photo.width * this.scale,
            this.stage.height / 2 - this.centre[1] * this.photo.height * this.scale,
        ];
    }

    toPhoto(x, y) {
        const [left, top] = this.offset;
        return [(x - left) / this.scale, (y - top) / this.scale];
    }

    /** A box of the photo on the stage. */
    toStage([x, y, width, height]) {
        const [left, top] = this.offset;
        return {x: left + x * this.scale, y: top + y * this.scale, width: width * this.scale, height: height * this.scale};
    }

    /** Zoom so that the point under (x, y) on the stage stays there. */
    zoomAt(x, y, factor) {
        const [column, row] = this.toPhoto(x, y);
        this.zoom = Math.min(MOST_ZOOM, Math.max(1, this.zoom * factor));
        this.centre = [
            (column - (x - this.stage.width / 2) / this.scale) / this.photo.width,
            (row - (y - this.stage.height / 2) / this.scale) / this.photo.height,
        ];
        this._keepInside();
    }

    pan(across, down) {
        this.centre = [
            this.centre[0] - across / this.scale / this.photo.width,
            this.centre[1] - down / this.scale / this.photo.height,
        ];
        this._keepInside();
    }

    /** No empty margin where the photo could fill it; what fits is centred. */
    _keepInside() {
        this.centre = [
            [this.centre[0], this.stage.width, this.photo.width],
            [this.centre[1], this.stage.height, this.photo.height],
        ].map(([centre, stage, photo]) => {
            const half = stage / 2 / this.scale / photo; // of what is seen, as a share of the photo
            return half >= 0.5 ? 0.5 : Math.min(1 - half, Math.max(half, centre));
        });
    }
}

/**
 * Let a stage be zoomed and panned.
 * @param {HTMLElement} element
 * @param {Viewport} view
 * @param {{moved: () => void, tapped: (x: number, y: number) => void, hovered: (x: number | null, y?: number) => void}} listeners
 */
function wireViewport(element, view, {moved, tapped, hovered}) {
    const pointers = new Map();
    let travelled = 0; // CSS pixels since the first pointer came down: more than a few are no click

    const place = (event) => {
        const box = element.getBoundingClientRect();
        return [event.clientX - box.left, event.clientY - box.top];
    };
    const update = () => {
        element.style.touchAction = view.zoom > 1 ? "none" : "pan-y"; // a finger scrolls the page until it has zoomed
        element.classList.toggle("pr-zoomed", view.zoom > 1);
        moved();
    };

    element.addEventListener("wheel", (event) => {
        // At the whole photo the page scrolls on: only zooming in takes the wheel from it.
        if (event.deltaY > 0 && view.zoom <= 1) return;
        event.preventDefault();
        view.zoomAt(...place(event), Math.exp(-event.deltaY * (event.ctrlKey ? 8 : 1) * WHEEL_STEP));
        update();
    }, {passive: false});
    element.addEventListener("pointerdown", (event) => {
        if (event.button > 0) return;
        if (!pointers.size) travelled = 0;
        pointers.set(event.pointerId, place(event));
        element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
        const now = place(event), before = pointers.get(event.pointerId);
        if (!before) {
            if (event.pointerType !== "touch") hovered(...now);
            return;
        }
        const moves = [now[0] - before[0], now[1] - before[1]];
        travelled += Math.hypot(...moves);
        const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
        pointers.set(event.pointerId, now);
        if (other) {
            const distance = (point) => Math.max(1, Math.hypot(point[0] - other[0], point[1] - other[1]));
            view.zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, distance(now) / distance(before));
            view.pan(moves[0] / 2, moves[1] / 2);
        } else if (travelled > 4 && view.zoom > 1) {
            view.pan(...moves);
        }
        update();
    });
    const lift = (event) => {
        const at = pointers.get(event.pointerId);
        pointers.delete(event.pointerId);
        if (at && event.type === "pointerup" && !pointers.size && travelled <= 4) tapped(...place(event));
    };
    element.addEventListener("pointerup", lift);
    element.addEventListener("pointercancel", lift);
    element.addEventListener("pointerleave", () => hovered(null));
    element.addEventListener("dblclick", (event) => {
        view.zoomAt(...place(event), view.zoom > 1 ? 1 / MOST_ZOOM : 3);
        update();
    });
    element.addEventListener("keydown", (event) => {
        const middle = [view.stage.width / 2, view.stage.height / 2];
        const keys = {
            "+": () => view.zoomAt(...middle, 1.5),
            "=": () => view.zoomAt(...middle, 1.5),
            "-": () => view.zoomAt(...middle, 1 / 1.5),
            "0": () => view.reset(),
            ArrowLeft: () => view.pan(KEY_STEP, 0),
            ArrowRight: () => view.pan(-KEY_STEP, 0),
            ArrowUp: () => view.pan(0, KEY_STEP),
            ArrowDown: () => view.pan(0, -KEY_STEP),
        };
        if (event.target !== element || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key.startsWith("Arrow") && view.zoom <= 1) return; // the page scrolls
        event.preventDefault();
        keys[event.key]();
        update();
    });
    return update;
}
