// @ts-check
/**
 * Makes the two faces of the core that `#core-bytes` in package.json chooses between, beside build/core.wasm:
 *
 *   core-bytes.js           the bytes as hexadecimal text; a bundler needs to know nothing of WebAssembly
 *   core-bytes.workerd.js   an import of core.wasm, for engines that refuse to compile bytes and compile files
 *                           when they are deployed
 *
 * Hexadecimal text is half as long again as base64 and a fifth shorter when a server has compressed it, because what
 * repeats in the bytes repeats in it too.
 *
 * The same core.wasm always gives the same files, and a file that would not change is not written.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const types = `/**
 * The core: hexadecimal text of core.wasm, or the module already compiled where the platform compiles it at
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
  const hex = readFileSync(new URL('core.wasm', folder)).toString('hex')
  writeWhenChanged(
    new URL('core-bytes.js', folder),
    `// Made by scripts/embed-core.js.\nexport const core =\n  '${hex}'\n`,
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
