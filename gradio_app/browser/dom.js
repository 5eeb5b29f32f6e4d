// Elements made without HTML text, so that no name from a photo or a model can become markup.

/**
 * An element.
 * @param {string} tag
 * @param {Object} attributes `class`, `text`, `on` (listeners by event), properties and attributes
 * @param {...(Node | string)} children
 */
function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === undefined || value === null || value === false) continue;
        if (name === "class") element.className = value;
        else if (name === "text") element.textContent = value;
        else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
        else if (value === true) element.setAttribute(name, "");
        else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

/**
 * A button with an icon or a text.
 * @param {string} text what stands on it
 * @param {string} name what it is called, where the text does not say it
 * @param {() => void} press
 * @param {Object} attributes further ones
 */
function makeButton(text, name, press, attributes = {}) {
    const button = make("button", {type: "button", title: name || undefined, "aria-label": name || undefined, ...attributes}, text);
    button.addEventListener("click", press);
    return button;
}

/**
 * A choice of one among few, as a group of radio buttons that look like a bar.
 * @param {string} name
 * @param {string[]} choices
 * @param {string} chosen
 * @param {(choice: string) => void} choose
 */
function makeBar(name, choices, chosen, choose) {
    const group = `bar-${Math.random().toString(36).slice(2)}`;
    const bar = make("div", {class: "pr-radios", role: "radiogroup", "aria-label": name});
    for (const choice of choices) {
        const input = make("input", {type: "radio", name: group, value: choice, on: {change: () => choose(choice)}});
        input.checked = choice === chosen;
        bar.append(make("label", {}, input, make("span", {text: choice})));
    }
    bar.choose = (choice) => {
        for (const input of bar.querySelectorAll("input")) input.checked = input.value === choice;
    };
    return bar;
}

/**
 * A slider with its name and its value.
 * @param {string} name
 * @param {{min: number, max: number, step: number, value: number}} range
 * @param {(value: number) => string} say the value in words
 * @param {(value: number) => void} change
 * @param {string} id
 */
function makeSlider(name, range, say, change, id) {
    const shown = make("output", {for: id, text: say(range.value)});
    const input = make("input", {type: "range", id, min: range.min, max: range.max, step: range.step});
    input.value = range.value;
    input.addEventListener("input", () => {
        shown.textContent = say(Number(input.value));
        change(Number(input.value));
    });
    const slider = make("div", {class: "pr-slider"}, make("label", {for: id, text: name}), shown, input);
    slider.set = (value) => {
        input.value = value;
        shown.textContent = say(value);
    };
    return slider;
}

/**
 * Words as a sentence lists them: at most `most`, and how many more there are.
 * @param {string[]} words
 * @param {number} most
 */
function listed(words, most = 5) {
    const shown = words.length > most ? [...words.slice(0, most), `${words.length - most} more`] : words;
    return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown[shown.length - 1]}`;
}

/** A share from 0 to 1 in percent. */
function percent(share) {
    return `${Math.round(100 * share)} %`;
}

/** Scroll an element into the window, unless it is there whole. */
function bringIntoView(element) {
    const box = element.getBoundingClientRect();
    if (box.top >= 0 && box.bottom <= window.innerHeight) return;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({block: "nearest", behavior: isStill ? "auto" : "smooth"});
}
