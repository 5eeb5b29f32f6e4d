// A box around something that was not found: drawn by a pointer, or moved and sized by keys.

const LEAST_BOX = 6; // CSS pixels a side; what is smaller was a click
const BOX_STEP = 10; // CSS pixels a key press

/** While it is on, pointers and keys of the stage draw a box instead of moving the photo. */
class BoxTool {
    /**
     * @param {HTMLElement} element the stage
     * @param {Viewport} view
     * @param {{changed: () => void, drawn: (box: number[]) => void, ended: () => void}} listeners drawn is given
     *     [x, y, width, height] in pixels of the shown photo
     */
    constructor(element, view, listeners) {
        Object.assign(this, {element, view, listeners, isOn: false, box: null});
        this._from = null; // where the pointer went down, in pixels of the photo
        const handlers = {pointerdown: "_press", pointermove: "_drag", pointerup: "_release", pointercancel: "_forget", keydown: "_key"};
        for (const [event, handler] of Object.entries(handlers)) {
            // Before the viewport hears of it, which would move the photo.
            element.addEventListener(event, (event) => this.isOn && this[handler](event), {capture: true});
        }
    }

    /** Turn it on, with a box in the middle for who has no pointer, or off. */
    turn(isOn) {
        const {width, height} = this.view.photo;
        this.isOn = isOn;
        this._from = null;
        this.box = isOn ? [width / 4, height / 4, width / 2, height / 2] : null;
        this.element.classList.toggle("pr-drawing", isOn);
        if (isOn) this.element.focus({preventScroll: true});
        this.listeners.changed();
    }

    _place(event) {
        const {left, top} = this.element.getBoundingClientRect();
        const [x, y] = this.view.toPhoto(event.clientX - left, event.clientY - top);
        const {width, height} = this.view.photo;
        return [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))];
    }

    _press(event) {
        if (event.button > 0) return;
        event.stopImmediatePropagation();
        this.element.setPointerCapture(event.pointerId);
        this._from = this._place(event);
        this._isDragged = false;
    }

    _drag(event) {
        event.stopImmediatePropagation();
        if (!this._from) return;
        this._isDragged = true;
        const [x, y] = this._place(event);
        this.box = [Math.min(x, this._from[0]), Math.min(y, this._from[1]), Math.abs(x - this._from[0]), Math.abs(y - this._from[1])];
        this.listeners.changed();
    }

    _release(event) {
        event.stopImmediatePropagation();
        const isDrawn = this._from !== null && this._isDragged && this._isLarge();
        this._from = null;
        if (isDrawn) this._finish();
    }

    _forget() {
        this._from = null;
    }

    _isLarge() {
        return Math.min(this.box[2], this.box[3]) * this.view.scale >= LEAST_BOX;
    }

    _finish() {
        const box = this.box;
        this.turn(false);
        this.listeners.drawn(box);
        this.listeners.ended();
    }

    /** Arrow keys move the box, with Shift they size it; Enter takes it, Escape leaves. */
    _key(event) {
        const step = BOX_STEP / this.view.scale;
        const moves = {ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step]};
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (moves[event.key]) this._move(...moves[event.key], event.shiftKey);
        else if (event.key === "Enter") this._finish();
        else if (event.key === "Escape") {
            this.turn(false);
            this.listeners.ended();
        } else return;
        event.preventDefault();
        event.stopImmediatePropagation();
    }

    _move(across, down, isSize) {
        const {width, height} = this.view.photo;
        const least = LEAST_BOX / this.view.scale;
        let [x, y, w, h] = this.box;
        if (isSize) {
            w = Math.min(width - x, Math.max(least, w + across));
            h = Math.min(height - y, Math.max(least, h + down));
        } else {
            x = Math.min(width - w, Math.max(0, x + across));
            y = Math.min(height - h, Math.max(0, y + down));
        }
        this.box = [x, y, w, h];
        this.listeners.changed();
    }

    /** Draw the box on the stage, black and white so that it is seen on any photo. */
    paint(context) {
        if (!this.box) return;
        const {x, y, width, height} = this.view.toStage(this.box);
        context.lineWidth = 2;
        context.strokeStyle = "#000";
        context.strokeRect(x, y, width, height);
        context.setLineDash([6, 6]);
        context.strokeStyle = "#fff";
        context.strokeRect(x, y, width, height);
        context.setLineDash([]);
    }
}
