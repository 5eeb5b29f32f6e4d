// Adding an object to a result: the visitor draws a box around it, the server draws its mask.

const BOX_HELP = "Drag a box around an object. By keys: arrows move it, Shift and arrows size it, Enter takes it, Escape leaves.";

class Adding {
    /** @param {Viewer} viewer whose stage, jobs and results it uses */
    constructor(viewer) {
        this.viewer = viewer;
        this.button = makeButton("Draw a box", "Draw a box around an object to get its mask", () => this._toggle(), {class: "pr-button", id: "box", "aria-pressed": "false"});
        const {stage} = viewer;
        this.tool = stage.tool = new BoxTool(stage.element, stage.view, {
            changed: () => stage.draw(),
            drawn: (box) => this._ask(box),
            ended: () => this._end(),
        });
    }

    _toggle() {
        const {scene} = this.viewer;
        if (!scene || scene.isPending) return;
        const isOn = !this.tool.isOn;
        this.button.setAttribute("aria-pressed", String(isOn));
        this.viewer.say(isOn ? BOX_HELP : "");
        this.tool.turn(isOn);
    }

    _end() {
        this.button.setAttribute("aria-pressed", "false");
        this.viewer.say("");
    }

    /** Another result is shown: a box of the one before means nothing on it. */
    leave() {
        if (!this.tool.isOn) return;
        this.tool.turn(false);
        this._end();
    }

    /** Ask for the mask of what is in a box, [x, y, width, height] in pixels of the shown photo. */
    _ask(box) {
        const {viewer} = this;
        const {id, name, size, screen} = viewer.scene;
        const scale = size[0] / screen[0];
        const job = viewer.jobs.add(name, async (job) => {
            viewer.jobs.reach("network");
            viewer.send("photo", {ticket: job.ticket, of: id, box: box.map((value) => value * scale)});
        });
        deriveResult(viewer, job, (scene) => this._show(scene, job.derives));
    }

    /** Show a result with one object more: it is singled out. */
    _show(scene, before) {
        const {choice} = this.viewer;
        showDerived(this.viewer, scene, before);
        choice.chosen = scene.objects.length - 1;
        const {score} = scene.objects[choice.chosen];
        if (score < choice.threshold) this.viewer.say(`What is in the box has a score of ${percent(score)}, below the threshold.`);
        this.viewer.changed();
    }
}
