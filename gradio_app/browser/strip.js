// The visitor's own photos as a row of thumbnails.

class Strip {
    /** @param {(scene: Scene) => void} show what is chosen */
    constructor(show) {
        this.show = show;
        this.element = make("div", {id: "photos", class: "pr-gallery", role: "group", "aria-label": "Your photos", hidden: true});
    }

    /**
     * Show the photos as they are now.
     * @param {Job[]} photos
     * @param {Scene | null} shown
     */
    update(photos, shown) {
        this.element.hidden = !photos.length;
        this.element.replaceChildren(...photos.map((job) => {
            const state = job.scene ? "" : ", in preparation";
            const button = make("button", {type: "button", title: job.name, "aria-label": `Photo: ${job.name}${state}`, disabled: !job.scene});
            button.job = job;
            if (job.scene) button.append(make("img", {src: job.scene.photo.src, alt: ""}));
            button.addEventListener("click", () => this.show(job.scene));
            return button;
        }));
        this.mark(shown);
    }

    /** Mark the photo that is shown. */
    mark(shown) {
        for (const button of this.element.children) {
            button.setAttribute("aria-current", String(Boolean(shown) && button.job.scene === shown));
        }
    }
}
