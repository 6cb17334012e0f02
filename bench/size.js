// @ts-check
/**
 * How many bytes does a program take on with tierwheel?
 *
 * The core as it is loaded, and each entry of the package as a bundler leaves it: everything it reaches, minified,
 * then compressed as a server would send it. Fails when a budget is exceeded.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/** The package as run.js has put it beside the others. */
const place = new URL('node_modules/tierwheel/', import.meta.url)
const here = createRequire(import.meta.url)

/** In bytes; what has none is only watched. @type {Record<string, number>} */
const budgets = { 'build/core.wasm': 32_000, 'tierwheel/l1': 26_000 }

/** @param {string[]} args */
export async function main(args) {
  if (args.length > 0) throw new Error(`bench size takes no options, got ${args.join(' ')}`)
  const core = readFileSync(new URL('build/core.wasm', place))
  const sizes = [{ name: 'build/core.wasm', bytes: core.length, gzip: gzipSync(core, { level: 9 }).length }]
  const { exports } = JSON.parse(readFileSync(new URL('package.json', place), 'utf8'))
  for (const path of Object.keys(exports)) {
    if (path === './package.json') continue
    const name = `tierwheel${path.slice(1)}`
    const bundle = await bundled(name)
    sizes.push({ name, bytes: bundle.length, gzip: gzipSync(bundle, { level: 9 }).length })
  }

  console.log('                                bytes      gzip    budget')
  for (const { name, bytes, gzip } of sizes) {
    const budget = budgets[name]
    // The core's budget is its own size, since it is held as it is; a bundle's is what is sent.
    const counted = name.endsWith('.wasm') ? bytes : gzip
    const isOver = budget !== undefined && counted > budget
    const cells = [bytes, gzip, budget ?? '-'].map((cell) => cell.toLocaleString('en').padStart(10))
    console.log(`${name.padEnd(27)}${cells.join('')}${isOver ? '  EXCEEDED' : ''}`)
    if (isOver) process.exitCode = 1
  }
}

/** @param {string} name an entry of the package */
async function bundled(name) {
  const { outputFiles } = await build({
    entryPoints: [here.resolve(name)],
    absWorkingDir: fileURLToPath(place),
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: ['node:*'],
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error(`${name} makes no bundle`)
  return file.contents
}
