// @ts-check
// Compiles the core into build/: what asconfig.json says, one target for each artefact.
//
//   core.wasm          for JavaScript engines: strings.ts, optimised
//   core.base.wasm     the same without the string imports, for wasm2js and wasm2c
//   core.debug.wasm    core.wasm with asserts and the invariant checker
//   core.testing.wasm  the structures one by one, with asserts; memory comes from the test
//
// A compilation takes seconds, so an artefact is left alone while the hash of everything it is made from
// (sources, configuration, compiler version, this file) is the one noted beside it.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = fileURLToPath(new URL('..', import.meta.url))
const build = join(root, 'build')
const notes = join(build, 'core-inputs.json')

/** Target in asconfig.json → entry. */
const artefacts = {
  core: 'assembly/strings.ts',
  'core.base': 'assembly/index.ts',
  'core.debug': 'assembly/debug.ts',
  'core.testing': 'assembly/testing.ts',
}

function inputHash() {
  const hash = createHash('sha256')
  const sources = readdirSync(join(root, 'assembly'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .map((name) => join('assembly', name))
  for (const name of [...sources, 'asconfig.json', 'scripts/build-core.js']) {
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(root, name)))
      .update('\0')
  }
  return hash.update(`asc ${asc.version}`).digest('hex')
}

/** @returns {Record<string, string>} */
function readNotes() {
  return existsSync(notes) ? JSON.parse(readFileSync(notes, 'utf8')) : {}
}

const wanted = inputHash()
const made = readNotes()
mkdirSync(build, { recursive: true })

for (const [target, entry] of Object.entries(artefacts)) {
  const outFile = join(build, `${target}.wasm`)
  if (made[target] !== wanted || !existsSync(outFile)) {
    // The configuration in the working directory would be merged unasked; naming it makes that the rule.
    const config = ['--config', 'asconfig.json', '--target', target, '--baseDir', root]
    const { error, stdout, stderr } = await asc.main([entry, ...config])
    if (error) {
      process.stderr.write(`${stderr.toString()}${stdout.toString()}build-core: ${target} did not compile\n`)
      process.exit(1)
    }
    made[target] = wanted
    writeFileSync(notes, `${JSON.stringify(made, null, 2)}\n`)
    console.log(`build/${target}.wasm`.padEnd(26), String(statSync(outFile).size).padStart(7), 'bytes')
  }
}
