// @ts-check
/**
 * How many bytes does a program take on with tierwheel?
 *
 * The core as it is loaded, and each entry of the package as a bundler leaves it: everything it reaches, minified,
 * then compressed as a server would send it. What a program loads only if it comes to use it (`import()`) stands apart,
 * under `later`. Fails when a budget is exceeded.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { relative } from 'node:path'
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
  const gzip = gzipSync(core, { level: 9 }).length
  const sizes = [{ name: 'build/core.wasm', bytes: core.length, gzip, later: 0 }]
  const { exports } = JSON.parse(readFileSync(new URL('package.json', place), 'utf8'))
  for (const path of Object.keys(exports)) {
    if (path === './package.json') continue
    const name = `tierwheel${path.slice(1)}`
    sizes.push({ name, ...(await bundled(name)) })
  }

  console.log('                                bytes      gzip    budget     later')
  for (const { name, bytes, gzip, later } of sizes) {
    const budget = budgets[name]
    // The core's budget is its own size, since it is held as it is; a bundle's is what is sent.
    const counted = name.endsWith('.wasm') ? bytes : gzip
    const isOver = budget !== undefined && counted > budget
    const cells = [bytes, gzip, budget ?? '-', later || '-'].map((cell) =>
      cell.toLocaleString('en').padStart(10),
    )
    console.log(`${name.padEnd(27)}${cells.join('')}${isOver ? '  EXCEEDED' : ''}`)
    if (isOver) process.exitCode = 1
  }
}

/**
 * What a program loads that imports `name`, and what it loads later, if it comes to that.
 *
 * @param {string} name an entry of the package
 */
async function bundled(name) {
  const { metafile, outputFiles } = await build({
    entryPoints: [here.resolve(name)],
    absWorkingDir: fileURLToPath(place),
    outdir: 'bundle',
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: ['node:*'],
  })
  const { outputs } = metafile
  /** @type {Set<string>} */
  const atOnce = new Set()
  /** @param {string} path */
  const load = (path) => {
    const output = outputs[path]
    if (output === undefined || atOnce.has(path)) return
    atOnce.add(path)
    for (const { path: next, kind } of output.imports) if (kind === 'import-statement') load(next)
  }
  for (const [path, { entryPoint }] of Object.entries(outputs)) {
    if (entryPoint !== undefined && here.resolve(name).endsWith(entryPoint)) load(path)
  }
  if (atOnce.size === 0) throw new Error(`${name} makes no bundle`)
  const sum = { bytes: 0, gzip: 0, later: 0 }
  for (const { path, contents } of outputFiles) {
    const gzip = gzipSync(contents, { level: 9 }).length
    if (!atOnce.has(relative(fileURLToPath(place), path))) sum.later += gzip
    else {
      sum.bytes += contents.length
      sum.gzip += gzip
    }
  }
  return sum
}
