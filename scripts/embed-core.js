// @ts-check
/**
 * Makes the two faces of the core that `#core-bytes` in package.json chooses between, beside build/core.wasm:
 *
 *   core-bytes.js           the bytes as text; a bundler needs to know nothing of WebAssembly
 *   core-bytes.workerd.js   an import of core.wasm, for engines that refuse to compile bytes and compile files
 *                           when they are deployed
 *
 * The text has 86 characters that no quotation mark, template, or page of HTML takes for its own. The 83 most frequent
 * bytes are one character each, all others two, of which the first is one of the last three; before the rest come
 * those 83, as two each. What repeats in the bytes repeats in the text, which base64 shifts apart: compressed by a
 * server it takes what the binary takes, base64 a third more. src/core/module.ts reads it.
 *
 * The same core.wasm always gives the same files, and a file that would not change is not written.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const types = `/**
 * The core: core.wasm as text, or the module already compiled where the platform compiles it at
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
  const text = textOf(readFileSync(new URL('core.wasm', folder)))
  writeWhenChanged(
    new URL('core-bytes.js', folder),
    `// Made by scripts/embed-core.js.\nexport const core =\n  '${text}'\n`,
  )
  writeWhenChanged(new URL('core-bytes.workerd.js', folder), compiled)
  writeWhenChanged(new URL('core-bytes.d.ts', folder), types)
}

/** @param {Uint8Array} bytes */
function textOf(bytes) {
  const alphabet = Array.from({ length: 92 }, (_, at) => String.fromCharCode(35 + at)).filter(
    (character) => !"$&'<\\`".includes(character),
  )
  const short = alphabet.length - Math.ceil(256 / alphabet.length)
  const counts = new Array(256).fill(0)
  for (const byte of bytes) counts[byte]++
  const frequent = [...counts.keys()].sort((left, right) => counts[right] - counts[left]).slice(0, short)
  /** @param {number} byte */
  const long = (byte) =>
    `${alphabet[short + Math.floor(byte / alphabet.length)]}${alphabet[byte % alphabet.length]}`
  const texts = Array.from(counts, (_, byte) => alphabet[frequent.indexOf(byte)] ?? long(byte))
  return frequent.map(long).join('') + Array.from(bytes, (byte) => texts[byte]).join('')
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
