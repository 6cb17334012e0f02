// @ts-check
/** The smoke program in a page, which finds its modules by an import map. The report is left on `window`. */
import { smoke } from './smoke.js'

const scope = /** @type {any} */ (globalThis)
scope.report = smoke().catch((error) => ({ ok: false, failures: [String(error)] }))
