// How a mask comes about: an object's mask after each step, its outline magnified, and what it costs.

const MASK_COLOUR = [79, 70, 229];
const CONSTANT_COLOUR = [220, 38, 38];
const STEP_MS = 1600; // how long a step stays while they are played
const FADE_MS = 300;
const DETAIL_SIDE = 360; // of the magnified square, in pixels

/**
 * @typedef {{grid: string, mask: {size: [number, number], counts: string}, points: number[], said: string, iou: number,
 *     answers: number, ms: number}} Step points are x and y in turn, in the window's pixels
 * @typedef {{name: string, objects: number, photo: string, width: number, height: number,
 *     detail: [number, number, number], constant: Step | null, steps: Step[]}} CloseUp detail is left, top and side
 */

/** Let each button ask for its example. */
function listenToExamples(element, trigger) {
    for (const button of element.querySelectorAll("button")) {
        button.addEventListener("click", () => trigger("click", {index: Number(button.dataset.index)}));
    }
}

class HowView {
    /**
     * @param {HTMLElement} element with the template of gradio_app/how_tab.py
     * @param {{value: CloseUp | {said: string} | null, first: number}} props first is the example to begin with
     * @param {(event: string, data: object) => void} trigger
     * @param {(prop: string, told: () => void) => void} watch
     */
    constructor(element, props, trigger, watch) {
        this.find = (selector) => element.querySelector(selector);
        this.props = props;
        this.step = 0;
        this.closeUp = null;
        this.timer = null;
        this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
        this.find(".back").addEventListener("click", () => this.go(this.step - 1));
        this.find(".next").addEventListener("click", () => this.go(this.step + 1));
        this.find(".play").addEventListener("click", () => (this.timer ? this.pause() : this.play()));
        this.find("#how-points").addEventListener("change", () => this.draw());
        this.find("#how-divider").addEventListener("input", () => this.compare());
        watch("value", () => this.show());
        if (props.value) this.show();
        // The first example is asked for when the tab is opened, though on a phone it lies further down.
        const opened = (entries) => {
            if (!entries.some((entry) => entry.isIntersecting)) return;
            seen.disconnect();
            if (!this.props.value) trigger("click", {index: props.first});
        };
        const seen = new IntersectionObserver(opened, {rootMargin: "4000px"});
        seen.observe(element);
    }

    get slider() {
        return this.find("#how-step");
    }

    async show() {
        this.pause();
        const value = this.props.value;
        this.closeUp = null;
        this.find(".shown").hidden = !value?.steps;
        this.find(".said").textContent = value?.said ?? "";
        if (!value?.steps) return;
        const photo = new Image();
        photo.src = value.photo;
        await photo.decode();
        if (this.props.value !== value) return; // another one has come
        this.photo = photo;
        const paint = ({mask}, colour) => this.painted(mask, colour);
        this.masks = value.steps.map((step) => paint(step, MASK_COLOUR));
        this.constant = value.constant && paint(value.constant, CONSTANT_COLOUR);
        this.closeUp = value;
        this.find(".steps").hidden = this.find(".points").hidden = value.steps.length < 2;
        this.find(".versus").hidden = !value.constant;
        this.find(".alone").hidden = Boolean(value.constant) || value.steps.length < 2;
        this.listNumbers(value);
        this.go(Math.min(this.step, value.steps.length - 1));
        this.compare();
    }

    /** A mask as a picture of the whole window, or null for an empty one. */
    painted(rle, colour) {
        const mask = decodeMask(rle);
        return mask && {picture: paintMask(mask, colour), x: mask.x, y: mask.y};
    }

    play() {
        const last = this.closeUp.steps.length - 1;
        if (this.step === last) this.go(0);
        this.find(".play").textContent = "Pause";
        this.timer = setInterval(() => {
            this.go(this.step + 1, true);
            if (this.step === last) this.pause();
        }, STEP_MS);
    }

    pause() {
        clearInterval(this.timer);
        this.timer = null;
        this.find(".play").textContent = "Play";
    }

    /**
     * @param {number} step
     * @param {boolean} [isPlayed] by itself; otherwise the visitor has taken over
     */
    go(step, isPlayed = false) {
        const {steps} = this.closeUp ?? {steps: []};
        if (!isPlayed) this.pause();
        if (!steps[step]) return;
        const before = this.step;
        this.step = step;
        this.slider.value = step;
        this.slider.setAttribute("aria-valuetext", steps[step].grid);
        this.find(".back").disabled = step === 0;
        this.find(".next").disabled = step === steps.length - 1;
        this.find(".said").textContent = steps[step].said;
        this.find("#how-numbers tbody").childNodes.forEach((row, place) => row.classList.toggle("current", place === step));
        if (before === step || matchMedia("(prefers-reduced-motion: reduce)").matches) return this.draw();
        this.fade(before, performance.now());
    }

    fade(before, started) {
        const step = this.step;
        const next = () => {
            if (this.step !== step) return;
            const share = Math.min(1, (performance.now() - started) / FADE_MS);
            this.draw(before, share);
            if (share < 1) requestAnimationFrame(next);
        };
        next();
    }

    /** Draw the step; while it fades in, the one before as well. */
    draw(before = this.step, share = 1) {
        const {closeUp, step} = this;
        if (!closeUp) return;
        const {width, height, detail: [left, top, side]} = closeUp;
        const canvas = this.canvas("#how-picture", width, height, `${closeUp.name}, its mask of ${closeUp.steps[step].grid}`);
        const scene = (context) => {
            context.drawImage(this.photo, 0, 0, width, height);
            if (share < 1) this.lay(context, this.masks[before], 0.55 * (1 - share));
            this.lay(context, this.masks[step], 0.55 * share);
        };
        const context = canvas.getContext("2d");
        scene(context);
        this.dot(context, 2);
        context.lineWidth = 5;
        context.strokeStyle = "#fff";
        context.strokeRect(left, top, side, side);
        context.lineWidth = 2;
        context.strokeStyle = "#111827";
        context.strokeRect(left, top, side, side);

        const zoomed = this.canvas("#how-detail", DETAIL_SIDE, DETAIL_SIDE, `The outline, magnified, at ${closeUp.steps[step].grid}`);
        const inner = zoomed.getContext("2d");
        const scale = DETAIL_SIDE / side;
        inner.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
        inner.imageSmoothingEnabled = false; // a mask's pixels are what is looked at
        scene(inner);
        this.dot(inner, 5 / scale);
        inner.resetTransform();
    }

    /** Draw the points of the step, if they are wanted. */
    dot(context, radius) {
        if (!this.find("#how-points").checked) return;
        const {points} = this.closeUp.steps[this.step];
        context.globalAlpha = 1;
        context.fillStyle = "#ffc400";
        context.strokeStyle = "#000";
        context.lineWidth = radius / 3;
        for (let place = 0; place < points.length; place += 2) {
            context.beginPath();
            context.arc(points[place], points[place + 1], radius, 0, 2 * Math.PI);
            context.fill();
            context.stroke();
        }
    }

    lay(context, mask, opacity) {
        if (mask === null) return;
        context.globalAlpha = opacity;
        context.drawImage(mask.picture, mask.x, mask.y);
        context.globalAlpha = 1;
    }

    canvas(selector, width, height, name) {
        const canvas = this.find(selector);
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
        canvas.setAttribute("aria-label", name);
        return canvas;
    }

    /** Draw the constant mask left of the divider, the refined one right of it. */
    compare() {
        const {closeUp} = this;
        if (!closeUp?.constant) return;
        const {width, height} = closeUp;
        const canvas = this.canvas("#how-comparison", width, height, `${closeUp.name}: constant 28 x 28 beside PointRend`);
        const divider = this.find("#how-divider");
        const at = Math.round((width * divider.value) / 100);
        divider.setAttribute("aria-label", "Divider between the constant mask and PointRend's");
        divider.setAttribute("aria-valuetext", `${divider.value} % constant 28 x 28`);
        const context = canvas.getContext("2d");
        context.drawImage(this.photo, 0, 0, width, height);
        const halves = [[0, at, this.constant], [at, width - at, this.masks[this.masks.length - 1]]];
        for (const [left, across, mask] of halves) {
            context.save();
            context.beginPath();
            context.rect(left, 0, across, height);
            context.clip();
            this.lay(context, mask, 0.55);
            context.restore();
        }
        context.fillStyle = "#fff";
        context.fillRect(at - 2, 0, 4, height);
        context.beginPath();
        context.arc(at, height / 2, 14, 0, 2 * Math.PI);
        context.fill();
    }

    /** @param {CloseUp} closeUp */
    listNumbers({steps, constant, objects}) {
        const rows = [...steps, ...(constant ? [constant] : [])].map((step) => {
            const row = document.createElement("tr");
            const points = step === constant ? "-" : step.answers.toLocaleString("en");
            const cells = [step.grid, step.iou.toFixed(3), points, step.ms.toFixed(1)];
            cells.forEach((text, place) => {
                const cell = document.createElement(place ? "td" : "th");
                if (!place) cell.scope = "row";
                cell.textContent = text;
                row.append(cell);
            });
            return row;
        });
        this.find("#how-numbers tbody").replaceChildren(...rows);
        const photo = objects === 1 ? "the photo with its one object" : `the photo with all ${objects} objects`;
        this.find(".note").textContent =
            "IoU: intersection over union with the most refined mask. Points: computed by the point head up to there. " +
            `Time: inference of ${photo} up to there, measured once.`;
    }
}
