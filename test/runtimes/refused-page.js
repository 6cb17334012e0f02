// @ts-check
/** A page whose Content-Security-Policy forbids WebAssembly: what does the first cache say? */
import { createL1 } from 'tierwheel/l1'

const scope = /** @type {any} */ (globalThis)
try {
  createL1({ maxEntries: 10 })
  scope.report = { message: undefined }
} catch (error) {
  scope.report = { message: error instanceof Error ? error.message : String(error) }
}
