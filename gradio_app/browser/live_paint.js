// What is drawn over the camera's picture, and what is said of it.

const SECONDS_COUNTED = 3;
const COLOUR_OVERLAP = 0.3; // of an object's boxes in two frames, from which it keeps its colour

/**
 * @typedef {{name: string, score: number | null, box: number[], mask: {size: [number, number], counts: string}}} Found
 * @typedef {{width: number, height: number, objects: Found[], ms: number}} Answer
 */

/**
 * How often answers come, in words; empty before the second one.
 * @param {number[]} times when answers came, in milliseconds, oldest first
 * @param {number} now
 */
function rateSentence(times, now) {
    if (times.length < 2) return "";
    const last = times[times.length - 1];
    const seconds = Math.max((last - times[0]) / (times.length - 1), now - last) / 1000;
    if (seconds > 1) return `A frame every ${Math.round(seconds)} s`;
    const rate = 1 / Math.max(seconds, 0.001);
    return `${rate < 9.95 ? rate.toFixed(1) : Math.round(rate)} frames a second`;
}

/**
 * The times that count: of the last seconds, and three at least, so that slow answers have a rate too.
 * @param {number[]} times
 * @param {number} now
 */
function recent(times, now) {
    return times.filter((time, place) => now - time < SECONDS_COUNTED * 1000 || place >= times.length - 3);
}

/** How much two boxes (x, y, width, height) overlap: intersection over union. */
function boxOverlap(one, other) {
    const width = Math.min(one[0] + one[2], other[0] + other[2]) - Math.max(one[0], other[0]);
    const height = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
    if (width <= 0 || height <= 0) return 0;
    return (width * height) / (one[2] * one[3] + other[2] * other[3] - width * height);
}

/** Gives each object a colour that it keeps from frame to frame. */
class Colours {
    /** @param {number} count how many colours there are */
    constructor(count) {
        this.count = count;
        this.before = [];
    }

    /**
     * @param {Found[]} objects
     * @returns {number[]} the colour's number of each
     */
    of(objects) {
        const free = [...this.before];
        const chosen = objects.map((object) => {
            const place = free.findIndex(
                (each) => each.name === object.name && boxOverlap(each.box, object.box) > COLOUR_OVERLAP
            );
            return place < 0 ? -1 : free.splice(place, 1)[0].colour;
        });
        const taken = new Set(chosen);
        let next = 0;
        for (let place = 0; place < chosen.length; place++) {
            if (chosen[place] >= 0) continue;
            while (taken.has(next) && next < this.count) next++;
            chosen[place] = next++ % this.count;
        }
        this.before = objects.map((object, place) => ({name: object.name, box: object.box, colour: chosen[place]}));
        return chosen;
    }
}

/**
 * Where each label goes: at its box, whole, over no other label; null for one that finds no place.
 * @param {{box: number[], width: number}[]} labels box and text width in the canvas's pixels, most important first
 * @param {number} width of the canvas
 * @param {number} height of the canvas
 * @param {number} line height of a label
 * @returns {([number, number] | null)[]} left and top
 */
function placeLabels(labels, width, height, line) {
    const placed = [];
    return labels.map(({box: [x, y, across, down], width: long}) => {
        if (long > width || line > height) return null;
        const right = x + across - long, below = y + down;
        const places = [[x, y - line], [right, y - line], [x, y], [right, y], [x, below], [x, below - line], [right, below]];
        for (let top = y + line; top < below - line; top += line) places.push([x, top]);
        for (const [left, top] of places) {
            const label = [Math.min(Math.max(left, 0), width - long), Math.min(Math.max(top, 0), height - line), long, line];
            if (placed.some((other) => boxOverlap(other, label) > 0)) continue;
            placed.push(label);
            return [label[0], label[1]];
        }
        return null;
    });
}

/**
 * Draw what was found; the canvas lies over the camera's picture and is clear elsewhere.
 * @param {HTMLCanvasElement} canvas
 * @param {Answer} answer
 * @param {[number, number, number][]} colours one an object
 * @param {number} pixel of the screen, in the canvas's pixels
 */
function paintAnswer(canvas, answer, colours, pixel) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    const across = canvas.width / answer.width, down = canvas.height / answer.height;
    const draw = (picture, mask) =>
        context.drawImage(picture, mask.x * across, mask.y * down, mask.width * across, mask.height * down);
    answer.objects.forEach((object, place) => {
        const mask = decodeMask(object.mask);
        if (mask === null) return;
        context.globalAlpha = 0.45;
        draw(paintMask(mask, colours[place]), mask);
        context.globalAlpha = 0.9;
        draw(paintMask(mask, colours[place], 1), mask);
    });
    context.globalAlpha = 1;
    const size = 13 * pixel, line = Math.round(size * 1.5);
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const labels = answer.objects.map(({name, score, box: [x, y, width, height]}) => {
        const text = score === null ? name : `${name} ${Math.round(score * 100)} %`;
        const box = [x * across, y * down, width * across, height * down];
        return {text, box, width: Math.ceil(context.measureText(text).width + size)};
    });
    placeLabels(labels, canvas.width, canvas.height, line).forEach((at, place) => {
        if (at === null) return;
        context.fillStyle = "#111827e0";
        context.fillRect(at[0], at[1], labels[place].width, line);
        context.fillStyle = `rgb(${colours[place].join(" ")})`;
        context.fillRect(at[0], at[1], 4 * pixel, line);
        context.fillStyle = "#fff";
        context.fillText(labels[place].text, at[0] + size * 0.65, at[1] + line / 2);
    });
}
