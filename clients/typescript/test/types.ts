// Checked by tsc, never run: what the types say of answers and of options.
import { Client, type DetectionPrediction, type InstancesPrediction, type SemanticPrediction } from "../src/index.js";

declare const client: Client;
const image = new Blob();

export const instances: Promise<InstancesPrediction> = client.predict(image);
export const detected: Promise<DetectionPrediction> = client.predict(image, { task: "detection" });
export const segments: Promise<SemanticPrediction> = client.predict(image, { task: "semantic", masks: "polygon" });
// @ts-expect-error: objects have no segments
export const wrong: Promise<SemanticPrediction> = client.predict(image, { score_threshold: 0.5 });
// @ts-expect-error: not one of the values
client.predict(image, { masks: "bitmap" });
// @ts-expect-error: no such option
client.predict(image, { threshold: 0.5 });
// @ts-expect-error: set by the client
client.predict(image, { format: "png" });
