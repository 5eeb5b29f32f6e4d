// Soft edges of effects: an object's outline anti-aliased, with the object's own colours. The server does the same at the
// photo's own size (pointrend/masks/alpha.py, pointrend/visualize/foreground.py).

const FOREGROUND_RADIUS = 3; // pixels around one whose colours count as nearby

/**
 * How opaque each pixel is that an object covers, at least in part.
 * @param {MaskWindow} mask
 * @param {number} photoWidth
 * @param {number} photoHeight beyond the photo the object goes on as at its edge
 * @returns {MaskWindow} a pixel larger at each side inside the photo; its data is from 0 to 255
 */
function softAlpha(mask, photoWidth, photoHeight) {
    const x = Math.max(0, mask.x - 1), y = Math.max(0, mask.y - 1);
    const width = Math.min(photoWidth, mask.x + mask.width + 1) - x, height = Math.min(photoHeight, mask.y + mask.height + 1) - y;
    const inside = new Uint8Array(width * height), across = new Uint8Array(width * height), data = new Uint8Array(width * height);
    for (let row = 0; row < mask.height; row++) {
        const place = (row + mask.y - y) * width + mask.x - x;
        inside.set(mask.data.subarray(row * mask.width, (row + 1) * mask.width), place);
    }
    for (let row = 0, place = 0; row < height; row++) {
        for (let column = 0; column < width; column++, place++) {
            across[place] = 2 * inside[place] + inside[column ? place - 1 : place] + inside[column < width - 1 ? place + 1 : place];
        }
    }
    for (let row = 0, place = 0; row < height; row++) {
        for (let column = 0; column < width; column++, place++) {
            const above = row ? place - width : place, below = row < height - 1 ? place + width : place;
            const alpha = Math.floor(((2 * across[place] + across[above] + across[below]) * 255) / 16);
            data[place] = inside[place] ? Math.max(alpha, 128) : Math.min(alpha, 127);
        }
    }
    return {x, y, width, height, data};
}

/**
 * Objects cut out of the photo with soft edges; where their masks meet there is no seam.
 * @param {Scene} scene
 * @param {number[]} kept places of the objects
 * @returns {{canvas: HTMLCanvasElement, x: number, y: number} | null} null for nothing
 */
function softCutout(scene, kept) {
    const mask = unionOf(kept.map((index) => scene.mask(index)).filter(Boolean));
    if (!mask) return null;
    const alpha = softAlpha(mask, scene.width, scene.height);
    const canvas = document.createElement("canvas");
    canvas.width = alpha.width;
    canvas.height = alpha.height;
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(scene.photo, -alpha.x, -alpha.y, scene.width, scene.height);
    const image = context.getImageData(0, 0, alpha.width, alpha.height);
    paintForeground(image.data, alpha);
    context.putImageData(image, 0, 0);
    return {canvas, x: alpha.x, y: alpha.y};
}

/** The window of all masks together; null of none. */
function unionOf(masks) {
    if (!masks.length) return null;
    if (masks.length === 1) return masks[0];
    const x = Math.min(...masks.map((mask) => mask.x)), y = Math.min(...masks.map((mask) => mask.y));
    const width = Math.max(...masks.map((mask) => mask.x + mask.width)) - x;
    const height = Math.max(...masks.map((mask) => mask.y + mask.height)) - y;
    const data = new Uint8Array(width * height);
    for (const mask of masks) {
        for (let row = 0, from = 0; row < mask.height; row++) {
            let place = (row + mask.y - y) * width + mask.x - x;
            for (let column = 0; column < mask.width; column++) data[place++] |= mask.data[from++];
        }
    }
    return {x, y, width, height, data};
}

/**
 * Give pixels their alpha, and those of partial alpha the colour of the object alone.
 * @param {Uint8ClampedArray} pixels RGBA of the alpha's window
 * @param {MaskWindow} alpha
 */
function paintForeground(pixels, {width, height, data}) {
    const estimated = [];
    for (let row = 0, place = 0; row < height; row++) {
        for (let column = 0; column < width; column++, place++) {
            if (data[place] > 0 && data[place] < 255) estimated.push([place, foregroundColour(pixels, data, width, height, row, column)]);
        }
    }
    for (let place = 0; place < data.length; place++) pixels[4 * place + 3] = data[place];
    for (const [place, colour] of estimated) pixels.set(colour, 4 * place);
}

function foregroundColour(pixels, data, width, height, row, column) {
    const front = [0, 0, 0], behind = [0, 0, 0];
    let weight = 0, rest = 0;
    const lastRow = Math.min(height - 1, row + FOREGROUND_RADIUS), lastColumn = Math.min(width - 1, column + FOREGROUND_RADIUS);
    for (let y = Math.max(0, row - FOREGROUND_RADIUS); y <= lastRow; y++) {
        for (let x = Math.max(0, column - FOREGROUND_RADIUS); x <= lastColumn; x++) {
            const place = y * width + x, alpha = data[place] / 255;
            weight += alpha;
            rest += 1 - alpha;
            for (let channel = 0; channel < 3; channel++) {
                front[channel] += alpha * pixels[4 * place + channel];
                behind[channel] += (1 - alpha) * pixels[4 * place + channel];
            }
        }
    }
    const place = row * width + column, alpha = data[place] / 255;
    return front.map((sum, channel) => {
        const own = pixels[4 * place + channel], mean = sum / weight, around = behind[channel] / rest;
        return mean + alpha * (own - alpha * mean - (1 - alpha) * around);
    });
}
