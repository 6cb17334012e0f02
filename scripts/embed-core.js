// @ts-check
/**
 * Makes the two faces of the core that `#core-bytes` in package.json chooses between, beside build/core.wasm:
 *
 *   core-bytes.js           the bytes as base64 text; a bundler needs to know nothing of WebAssembly
 *   core-bytes.workerd.js   an import of core.wasm, for engines that refuse to compile bytes and compile files
 *                           when they are deployed
 *
 * The same core.wasm always gives the same files, and a file that would not change is not written.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const types = `/**
 * The core: base64 text of core.wasm, or the module already compiled where the platform compiles it at
 * deployment and refuses to later.
 */
export declare const core: string | WebAssembly.Module
`

const compiled = `// Made by scripts/embed-core.js.
import core from './core.wasm'

export { core }
`

/**
 * Writes the embedding modules into `folder`, which holds core.wasm.
 *
 * @param {URL} folder
 */
export function embedCore(folder) {
  const base64 = readFileSync(new URL('core.wasm', folder)).toString('base64')
  writeWhenChanged(
    new URL('core-bytes.js', folder),
    `// Made by scripts/embed-core.js.\nexport const core =\n  '${base64}'\n`,
  )
  writeWhenChanged(new URL('core-bytes.workerd.js', folder), compiled)
  writeWhenChanged(new URL('core-bytes.d.ts', folder), types)
}

/**
 * @param {URL} file
 * @param {string} text
 */
function writeWhenChanged(file, text) {
  try {
    if (readFileSync(file, 'utf8') === text) return
  } catch {
    // Not there yet.
  }
  writeFileSync(file, text)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) embedCore(new URL('../build/', import.meta.url))
