// @ts-check
/**
 * Runs the documentation: every fence in README.md and docs/ whose info string is `ts program` is a whole program.
 * Each is type-checked and then run in a fresh folder where `tierwheel` is the built package, as a reader would
 * have it. A program that throws, does not end within a minute, or does not compile has failed.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.js'
import { root } from './root.js'
import { binOf, runNode } from './run-command.js'

/** @typedef {{ where: string, text: string }} Program */

/**
 * Runs the programs of all pages, each printed as it ends. The package must be built.
 *
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>}
 */
export async function runDocs() {
  const programs = pages().flatMap(programsOf)
  const folder = mkdtempSync(join(tmpdir(), 'tierwheel-docs-'))
  const counts = { passed: 0, failed: 0, skipped: 0 }
  try {
    mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
    symlinkSync(root, join(folder, 'node_modules/tierwheel'), 'junction')
    symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'), 'junction')
    for (const name of packagesOf(programs)) {
      for (const path of [name, `@types/${name}`]) linkPackage(folder, path)
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
    for (const [index, { where, text }] of programs.entries()) {
      const place = join(folder, String(index))
      mkdirSync(place)
      writeFileSync(join(place, 'program.ts'), text)
      const outcome = await compileAndRun(place)
      counts[outcome.ok ? 'passed' : 'failed']++
      console.log(`${outcome.ok ? 'ok    ' : 'FAILED'}  ${where}`)
      if (!outcome.ok) console.log(outcome.output.trimEnd())
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return counts
}

/**
 * Names of the frameworks that programs import, as their readers have installed them.
 *
 * @param {Program[]} programs
 */
function packagesOf(programs) {
  const names = programs.flatMap(({ text }) =>
    [...text.matchAll(/ from '((?:@[a-z0-9-]+\/)?[a-z][a-z0-9-]*)'/g)].map((match) => match[1] ?? ''),
  )
  return new Set(names.filter((name) => name !== 'tierwheel'))
}

/**
 * @param {string} folder
 * @param {string} path inside node_modules
 */
function linkPackage(folder, path) {
  const target = join(root, 'node_modules', path)
  const link = join(folder, 'node_modules', path)
  if (!existsSync(target)) return
  mkdirSync(dirname(link), { recursive: true })
  symlinkSync(target, link, 'junction')
}

/**
 * @param {string} place the folder that holds program.ts
 */
async function compileAndRun(place) {
  const options = '--target es2022 --module nodenext --lib es2023,dom --types node --strict --skipLibCheck'
  const compiled = await runNode(
    [binOf('typescript', 'tsc'), ...options.split(' '), '--ignoreConfig', 'program.ts'],
    { cwd: place },
  )
  return compiled.ok ? runNode(['program.js'], { cwd: place, timeoutMs: 60_000 }) : compiled
}

/** @returns {string[]} */
function pages() {
  const docs = existsSync(join(root, 'docs'))
    ? readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    : []
  const paths = docs.filter((path) => path.endsWith('.md')).map((path) => join('docs', path))
  return ['README.md', ...paths.sort()].filter((path) => existsSync(join(root, path)))
}

/**
 * @param {string} path
 * @returns {Program[]}
 */
function programsOf(path) {
  const page = readFileSync(join(root, path), 'utf8')
  return [...page.matchAll(/^```ts program\n(.*?)^```$/gms)].map((match) => ({
    where: `${path}:${page.slice(0, match.index).split('\n').length}`,
    // Blank lines in front, so that an error's line is the page's line.
    text: '\n'.repeat(page.slice(0, match.index).split('\n').length) + match[1],
  }))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (await build()) {
    const { passed, failed, skipped } = await runDocs()
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
    process.exitCode = failed === 0 ? 0 : 1
  } else {
    process.exitCode = 1
  }
}
