export type * from "./api.js";
export { Client, type ClientSettings, type Image, type Picture, type Prediction, type PredictOptions } from "./client.js";
export { PointRendError, type ErrorCode } from "./errors.js";
export { decodeMask, type Mask } from "./masks.js";
