// Downloads, effects and code: what leaves the page.

/** The controls of the effects; shown with the view of cut-outs. */
class EffectControls {
    /**
     * @param {Choice} choice the viewer's
     * @param {() => void} changed
     * @param {(sentence: string) => void} refuse
     */
    constructor(choice, changed, refuse) {
        this.picture = null; // the file, sent only when the result is saved
        const colour = make("input", {type: "color", value: choice.colour, "aria-label": "Colour of the background", id: "effect-colour"});
        colour.addEventListener("input", () => {
            choice.colour = colour.value;
            choose("Colour");
        });
        const bar = makeBar("Background", EFFECTS, choice.effect, (effect) => (effect === "Picture" && !choice.picture ? file.click() : choose(effect)));
        const choose = (effect) => {
            choice.effect = effect;
            bar.choose(effect);
            changed();
        };
        const file = make("input", {type: "file", accept: ACCEPTED, class: "pr-unseen", tabindex: "-1", "aria-label": "Choose the background's picture"});
        file.addEventListener("cancel", () => bar.choose(choice.effect));
        file.addEventListener("change", async () => {
            const picture = new Image();
            picture.src = URL.createObjectURL(file.files[0]);
            try {
                await picture.decode();
            } catch {
                bar.choose(choice.effect);
                refuse("This browser cannot show that file as a picture; choose a JPEG or PNG as the background.");
                return;
            }
            URL.revokeObjectURL(choice.picture?.src ?? "");
            choice.picture = picture;
            choice.pictureName = picture.src;
            this.picture = file.files[0];
            choose("Picture");
        });
        const another = makeButton("Choose a picture", "", () => file.click(), {class: "pr-button"});
        this.element = make("div", {id: "effects", class: "pr-row pr-effects", hidden: true},
            make("span", {text: "Background", "aria-hidden": "true"}), bar, colour, another, file);
    }
}

/**
 * The row of downloads.
 * @param {{key: string, label: string}[]} exports
 * @param {(key: string, all: boolean) => void} save
 */
function makeDownloads(exports, save) {
    const all = make("input", {type: "checkbox", id: "save-all"});
    const everyPhoto = make("label", {class: "pr-all", hidden: true}, all, make("span"));
    const buttons = exports.map(({key, label}) => makeButton(label, "", () => save(key, all.checked && !everyPhoto.hidden), {class: "pr-button", id: `save-${key}`}));
    const element = make("div", {id: "downloads", class: "pr-row", role: "group", "aria-label": "Downloads"}, make("span", {text: "Download", "aria-hidden": "true"}), ...buttons, everyPhoto);
    element.count = (photos) => {
        everyPhoto.hidden = photos < 2;
        everyPhoto.lastChild.textContent = `of all ${photos} photos, as one zip`;
    };
    element.showEffect = (isShown) => {
        for (const button of buttons) if (button.id === "save-effect") button.hidden = !isShown;
    };
    return element;
}

/** The lines of code that give the result that is shown. */
class CodePanel {
    /** @param {() => void} ask for the code of what is shown now */
    constructor(ask) {
        this.texts = {};
        this.bar = make("div");
        this.text = make("code");
        this.note = make("p", {hidden: true});
        const copy = makeButton("Copy", "Copy the code", async () => {
            copy.textContent = (await copyText(this.text)) ? "Copied" : "Press Ctrl-C";
            setTimeout(() => (copy.textContent = "Copy"), 1500);
        }, {class: "pr-button", id: "copy-code"});
        this.element = make("details", {id: "code", class: "pr-code"}, make("summary", {text: "Code for this result"}),
            make("div", {class: "pr-row"}, this.bar, copy), this.note, make("pre", {tabindex: "0", "aria-label": "Code"}, this.text));
        this.element.addEventListener("toggle", () => this.element.open && ask());
    }

    /**
     * @param {Record<string, string>} texts by language
     * @param {{edits: number, drawn: number}} scene the result; edits counts its corrections, boxes that were drawn among them
     */
    show(texts, {edits, drawn}) {
        const missing = [edits > drawn && "your corrections", drawn > 0 && "the boxes that you drew"].filter(Boolean);
        this.note.hidden = !missing.length;
        const advice = drawn > 0 ? ". Send boxes as the option boxes, [[x, y, width, height], ...] in pixels of the photo." : ": a request finds what the model finds.";
        this.note.textContent = `It leaves out ${listed(missing)}${advice}`;
        this.texts = texts;
        const languages = Object.keys(texts);
        if (!languages.includes(this.language)) this.language = languages[0];
        const bar = makeBar("Language", languages, this.language, (language) => {
            this.language = language;
            this.text.textContent = this.texts[language];
        });
        this.bar.replaceChildren(bar);
        this.text.textContent = texts[this.language];
    }
}

/**
 * Copy an element's text. Browsers give the clipboard to pages at localhost or by https only; elsewhere the text is
 * selected and copied as a person would.
 * @param {HTMLElement} element
 * @returns {Promise<boolean>} whether it was copied; the text is selected where it was not
 */
async function copyText(element) {
    try {
        await navigator.clipboard.writeText(element.textContent);
        return true;
    } catch {
        getSelection().selectAllChildren(element);
        return document.execCommand("copy");
    }
}
