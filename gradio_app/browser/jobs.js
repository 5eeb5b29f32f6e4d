// Photos on their way: one at a time to the server, each with a ticket by which its answer is known.

const STAGES = {waiting: "Waiting", uploading: "Uploading", decoding: "Decoding", network: "Finding objects", masks: "Loading the masks"};

/**
 * Something to be found: a photo of the visitor, or an example.
 * @typedef {{ticket: string, name: string, stage: string, error: string | null, begin: () => Promise<void>,
 *     scene: Scene | null, isExample: boolean}} Job
 */

/** Runs jobs one after the other and says how each goes on. */
class Jobs {
    /** @param {{progress: (job: Job | null) => void, failed: (job: Job) => void}} listeners */
    constructor(listeners) {
        this.listeners = listeners;
        this.current = null;
        this.waiting = [];
        this._count = 0;
    }

    /**
     * Add a photo at the end, or an example as the next: it takes the place of one that was chosen before.
     * @param {string} name
     * @param {(job: Job) => Promise<void>} begin resolves once the server was asked
     */
    add(name, begin, isExample = false) {
        if (isExample) {
            this.waiting = this.waiting.filter((job) => !job.isExample);
            if (this.current?.isExample) this.current = null; // its answer finds no job
        }
        const job = {ticket: `${Date.now()}-${this._count++}`, name, stage: "waiting", error: null, scene: null, isExample};
        job.begin = () => begin(job);
        if (isExample) this.waiting.unshift(job);
        else this.waiting.push(job);
        this._next();
        return job;
    }

    /** The job that an answer belongs to; undefined for one that was cancelled. */
    of(ticket) {
        return this.current?.ticket === ticket ? this.current : undefined;
    }

    /** Tell how far the current job is. */
    reach(stage) {
        if (!this.current) return;
        this.current.stage = stage;
        this.listeners.progress(this.current);
    }

    /** End the current job. */
    finish(error = null) {
        const job = this.current;
        if (!job) return;
        this.current = null;
        job.stage = error ? "failed" : "done";
        job.error = error;
        this.listeners.progress(null);
        if (error) this.listeners.failed(job);
        this._next();
    }

    /** Forget the current job and all that wait. Returns them. */
    cancel() {
        const dropped = [...(this.current ? [this.current] : []), ...this.waiting];
        this.current = null;
        this.waiting = [];
        for (const job of dropped) job.stage = "cancelled";
        this.listeners.progress(null);
        return dropped;
    }

    async _next() {
        if (this.current || !this.waiting.length) return;
        const job = (this.current = this.waiting.shift());
        this.listeners.progress(job);
        try {
            await job.begin();
        } catch (error) {
            if (this.current === job) this.finish(error.message || String(error));
        }
    }
}
