// One result ready to be drawn: the photo, and a layer for each object.

/**
 * An object as the server describes it, sizes in pixels of the shown photo unless said otherwise.
 * @typedef {{label: string, category: string, score: number, colour: [number, number, number],
 *     categoryColour: [number, number, number], bbox: [number, number, number, number], size: [number, number],
 *     share: number, mask: {size: [number, number], counts: string} | null}} SceneObject
 *     size is in the photo's own pixels, share of its area
 */

/** The photo of a result and what was found in it. */
class Scene {
    /**
     * Load the photo; the masks are decoded when they are first drawn.
     * @param {Object} payload as gradio_app/payload.py writes it
     */
    static async load(payload) {
        const photo = new Image();
        photo.src = payload.photo;
        await photo.decode();
        return new Scene(payload, photo);
    }

    constructor(payload, photo) {
        Object.assign(this, payload);
        this.photo = photo;
        [this.width, this.height] = payload.screen;
        this.objects = payload.objects ?? [];
        this.hidden = new Set(); // places of objects whose eye is closed
        this.marked = new Set(); // places of objects that are checked, to be corrected together
        this.line = Math.max(1, Math.round(Math.min(this.width, this.height) / 320));
        this._layers = new Map();
    }

    /** @returns {MaskWindow | null} of an object */
    mask(index) {
        return this._layer(index, "mask", (object) => object.mask && decodeMask(object.mask));
    }

    fill(index) {
        return this._layer(index, "fill", (object) => paintMask(this.mask(index), object.colour));
    }

    categoryFill(index) {
        return this._layer(index, "category", (object) => paintMask(this.mask(index), object.categoryColour));
    }

    outline(index, line = this.line) {
        return this._layer(index, `outline ${line}`, (object) => paintMask(this.mask(index), object.colour, line));
    }

    /** The photo's pixels of an object, clear around it. */
    cutout(index) {
        return this._layer(index, "cutout", (object) => {
            const mask = this.mask(index);
            const canvas = paintMask(mask, object.colour);
            const context = canvas.getContext("2d");
            context.globalCompositeOperation = "source-in";
            context.drawImage(this.photo, -mask.x, -mask.y, this.width, this.height);
            return canvas;
        });
    }

    _layer(index, kind, paint) {
        const key = `${index} ${kind}`;
        if (!this._layers.has(key)) this._layers.set(key, paint(this.objects[index]));
        return this._layers.get(key);
    }

    /**
     * Places of the objects to be seen, the best first.
     * @param {{threshold: number, closed: Set<string>}} choice closed has names of categories
     */
    visible(choice) {
        return this.listed(choice).filter((index) => !this.hidden.has(index));
    }

    /** Places of the objects in the list: those to be seen, and those whose eye is closed. */
    listed(choice) {
        return this.above(choice.threshold).filter((index) => !choice.closed.has(this.objects[index].category));
    }

    /** Places of the objects that reach a score. */
    above(threshold) {
        return [...this.objects.keys()].filter((index) => this.isMap || this.objects[index].score >= threshold);
    }

    /**
     * The object that is seen at a place, the best on top as it is drawn; null beside all.
     * @param {number} x in pixels of the photo
     * @param {number} y
     * @param {number[]} visible
     * @param {boolean} byBox whether boxes are shown
     */
    at(x, y, visible, byBox) {
        const found = visible.find((index) => {
            const mask = byBox ? null : this.mask(index);
            if (mask) return isInside(mask, Math.floor(x), Math.floor(y));
            const [left, top, width, height] = this.objects[index].bbox;
            return byBox || !this.objects[index].mask ? x >= left && y >= top && x < left + width && y < top + height : false;
        });
        return found ?? null;
    }
}
