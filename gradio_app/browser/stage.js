// The large picture: draws a scene as the choice says, once for each change and never by a request.

const VIEWS = ["Masks", "Boxes", "Semantic map", "Cut-outs", UNSURE];
const DIMMED = 0.65; // how much of everything around a chosen object is taken away
const CHECKS = 10; // CSS pixels of a square behind what is transparent

/**
 * What is to be seen.
 * @typedef {{view: string, threshold: number, closed: Set<string>, opacity: number, chosen: number | null,
 *     hovered: number | null, labels: string, effect: string, colour: string, picture: CanvasImageSource | null,
 *     divider: number | null}} Choice divider is where the untouched photo ends, from 0 to 1 of the stage's width
 */

class Stage {
    /**
     * @param {Choice} choice the viewer's; read at every drawing
     * @param {{hover: (index: number | null) => void, choose: (index: number | null) => void}} listeners
     */
    constructor(choice, listeners) {
        this.choice = choice;
        this.scene = null;
        this.view = new Viewport();
        this.canvas = make("canvas", {"aria-hidden": "true"});
        this.element = make("div", {class: "pr-stage", tabindex: "0", role: "group", "aria-roledescription": "picture"}, this.canvas);
        this.tool = null; // what is drawn above everything
        this._effect = {key: "", canvas: null};
        this._requested = false;
        this._moved = wireViewport(this.element, this.view, {
            moved: () => this.draw(),
            tapped: (x, y) => this.scene && listeners.choose(this._at(x, y)),
            hovered: (x, y) => this.scene && listeners.hover(x === null ? null : this._at(x, y)),
        });
        new ResizeObserver(() => this._resize()).observe(this.element);
    }

    /** @param {Scene} scene */
    show(scene) {
        if (this.scene?.photo.src !== scene.photo.src) this.view.reset(); // a corrected result is seen as before
        this.scene = scene;
        this.view.photo = scene;
        this._effect.key = "";
        this._moved();
    }

    zoom(factor) {
        this.view.zoomAt(this.view.stage.width / 2, this.view.stage.height / 2, factor);
        this._moved();
    }

    /** Draw in the browser's next frame. */
    draw() {
        if (this._requested) return;
        this._requested = true;
        requestAnimationFrame(() => {
            this._requested = false;
            if (this.scene) this._draw();
        });
    }

    _resize() {
        const {clientWidth: width, clientHeight: height} = this.element;
        if (!width || !height) return; // another tab is open
        this.ratio = window.devicePixelRatio || 1;
        this.canvas.width = Math.round(width * this.ratio);
        this.canvas.height = Math.round(height * this.ratio);
        this.view.resize({width, height});
        this.draw();
    }

    _at(x, y) {
        const {choice, scene} = this;
        return scene.at(...this.view.toPhoto(x, y), scene.visible(choice), choice.view === "Boxes");
    }

    _draw() {
        const {choice, scene, view} = this;
        const context = this.canvas.getContext("2d");
        const [left, top] = view.offset;
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.clearRect(0, 0, this.canvas.width, this.canvas.height);
        const toPhoto = () => context.setTransform(this.ratio * view.scale, 0, 0, this.ratio * view.scale, this.ratio * left, this.ratio * top);
        toPhoto();
        context.imageSmoothingEnabled = view.scale * this.ratio < 6; // from there single pixels are looked at
        context.imageSmoothingQuality = "high";
        const visible = scene.visible(choice);
        const chosen = visible.includes(choice.chosen) ? choice.chosen : null;
        if (choice.view === "Cut-outs" || choice.view === UNSURE) this._drawEffect(context, chosen === null ? visible : [chosen]);
        else this._drawObjects(context, visible, chosen);
        this._highlight(context, visible);
        if (choice.divider !== null) {
            context.save();
            context.beginPath();
            context.rect(-left / view.scale, -top / view.scale, (choice.divider * view.stage.width) / view.scale, view.stage.height / view.scale);
            context.clip();
            context.drawImage(scene.photo, 0, 0, scene.width, scene.height);
            context.restore();
        }
        context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
        this._drawLabels(context, chosen === null ? visible : [chosen]);
        this.tool?.paint(context);
    }

    _drawObjects(context, visible, chosen) {
        const {choice, scene} = this;
        context.drawImage(scene.photo, 0, 0, scene.width, scene.height);
        if (choice.view === "Semantic map") {
            this._drawSemantic(context, visible);
            return;
        }
        if (chosen !== null) {
            context.fillStyle = `rgb(0 0 0 / ${DIMMED})`;
            context.fillRect(0, 0, scene.width, scene.height);
            const mask = choice.view === "Boxes" ? null : scene.mask(chosen);
            const [x, y, width, height] = scene.objects[chosen].bbox;
            if (mask) context.drawImage(scene.cutout(chosen), mask.x, mask.y);
            else context.drawImage(scene.photo, ...this._source(x, y, width, height), x, y, width, height);
        }
        for (const index of (chosen === null ? [...visible] : [chosen]).reverse()) this._drawObject(context, index, chosen !== null);
    }

    /** A box of the shown photo in the pixels of its picture. */
    _source(x, y, width, height) {
        const scale = this.scene.photo.naturalWidth / this.scene.width;
        return [x * scale, y * scale, width * scale, height * scale];
    }

    _drawObject(context, index, isChosen) {
        const {choice, scene} = this;
        const object = scene.objects[index];
        const mask = choice.view === "Boxes" ? null : scene.mask(index);
        if (mask) {
            context.globalAlpha = isChosen ? choice.opacity / 2 : choice.opacity;
            context.drawImage(scene.fill(index), mask.x, mask.y);
            context.globalAlpha = 1;
            context.drawImage(scene.outline(index), mask.x, mask.y);
        } else if (choice.view === "Boxes" || !object.mask) {
            this._drawBox(context, object, 2);
        }
    }

    _drawBox(context, object, line) {
        context.strokeStyle = `rgb(${object.colour.join()})`;
        context.lineWidth = line / this.view.scale;
        context.strokeRect(...object.bbox);
    }

    /** One colour a category; where objects overlap the best one wins, as on the server. */
    _drawSemantic(context, visible) {
        const {choice, scene} = this;
        const layer = document.createElement("canvas");
        layer.width = scene.width;
        layer.height = scene.height;
        const painter = layer.getContext("2d");
        for (const index of [...visible].reverse()) {
            const mask = scene.mask(index);
            if (mask) painter.drawImage(scene.categoryFill(index), mask.x, mask.y);
        }
        context.globalAlpha = Math.max(choice.opacity, 0.15);
        context.drawImage(layer, 0, 0);
        context.globalAlpha = 1;
    }

    _drawEffect(context, kept) {
        const {choice, scene} = this;
        const isUnsure = choice.view === UNSURE;
        if (!isUnsure && choice.effect === "Transparent") this._drawChecks(context);
        const about = isUnsure ? [UNSURE, Boolean(scene.doubts)] : [choice.effect, choice.colour, choice.pictureName];
        const key = [scene.id, ...about, ...kept].join();
        if (key !== this._effect.key) this._effect = {key, canvas: isUnsure ? paintDoubt(scene, kept) : applyEffect(scene, kept, choice)};
        context.drawImage(this._effect.canvas, 0, 0);
    }

    _drawChecks(context) {
        const {width, height} = this.scene;
        const side = CHECKS / this.view.scale;
        context.fillStyle = "#fff";
        context.fillRect(0, 0, width, height);
        context.save();
        context.beginPath();
        context.rect(0, 0, width, height);
        context.clip();
        context.fillStyle = "#d4d4d8";
        for (let row = 0; row * side < height; row++) {
            for (let column = row % 2; column * side < width; column += 2) context.fillRect(column * side, row * side, side, side);
        }
        context.restore();
    }

    /** What is pointed at, in the picture or in the list. */
    _highlight(context, visible) {
        const {choice, scene} = this;
        const index = choice.hovered;
        if (index === null || !visible.includes(index) || choice.divider !== null) return;
        const mask = choice.view === "Boxes" ? null : scene.mask(index);
        if (!mask) {
            this._drawBox(context, scene.objects[index], 4);
            return;
        }
        context.globalAlpha = 0.35;
        context.drawImage(scene.fill(index), mask.x, mask.y);
        context.globalAlpha = 1;
        context.drawImage(scene.outline(index, 2 * scene.line + 1), mask.x, mask.y);
    }

    _isLabelled(index) {
        const {labels, hovered, chosen, view} = this.choice;
        if (labels === "Off") return false;
        if (index === hovered) return true;
        return view !== "Cut-outs" && (labels === "On" || index === chosen);
    }

    _drawLabels(context, visible) {
        const {choice, scene, view} = this;
        const named = visible.filter((index) => this._isLabelled(index));
        // The one that is pointed at is never the one left out.
        named.sort((a, b) => (b === choice.hovered) - (a === choice.hovered));
        context.font = LABEL_FONT;
        const wanted = named.map((index) => {
            const object = scene.objects[index];
            const text = scene.isMap ? object.category : `${object.label} ${percent(object.score)}`;
            const box = view.toStage(object.bbox);
            return {index, text, box: clipped(box, view.stage), width: Math.ceil(context.measureText(text).width) + 10};
        }).filter(({box}) => box.width > 0 && box.height > 0);
        const isCovered = (x, y) => {
            const place = view.toPhoto(x, y);
            return scene.at(...place, visible, choice.view === "Boxes") !== null;
        };
        const places = placeLabels(wanted, view.stage, isCovered);
        this.labels = wanted.map(({text, index}, order) => ({text, index, place: places[order]}));
        context.textBaseline = "middle";
        for (const {text, index, place} of this.labels) {
            if (!place) continue;
            const colour = choice.view === "Semantic map" ? scene.objects[index].categoryColour : scene.objects[index].colour;
            context.fillStyle = `rgb(${colour.join()})`;
            context.beginPath();
            context.roundRect(place.x, place.y, place.width, place.height, 4);
            context.fill();
            context.fillStyle = textColour(colour);
            context.fillText(text, place.x + 5, place.y + place.height / 2 + 1);
        }
    }
}

/** The part of a box that is on the stage. */
function clipped(box, stage) {
    const x = Math.max(0, box.x), y = Math.max(0, box.y);
    return {
        x, y, width: Math.min(stage.width, box.x + box.width) - x, height: Math.min(stage.height, box.y + box.height) - y,
    };
}
