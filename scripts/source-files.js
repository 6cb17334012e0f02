// @ts-check
/**
 * The sources as data, for the checks that read them: which files there are, what each imports, and its syntax
 * tree. assembly/ parses as TypeScript, since it uses no decorators.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { root } from './root.js'

/**
 * @typedef {object} Import
 * @property {string} specifier as written
 * @property {string | undefined} target path of the file inside its folder, when the specifier is relative
 * @property {boolean} isType erased when compiled, so it cannot close a cycle at run time
 * @property {number} line
 */

/**
 * @typedef {object} SourceFile
 * @property {string} path inside its folder, such as `tiers/file.ts`
 * @property {ts.SourceFile} tree
 * @property {Import[]} imports
 */

/**
 * Every `.ts` file below `folder`, parsed, in the order of their paths.
 *
 * @param {string} folder such as `src`
 * @returns {SourceFile[]}
 */
export function sourceFilesOf(folder) {
  if (!existsSync(join(root, folder))) return []
  const paths = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return paths
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
    .map((path) => path.replaceAll('\\', '/'))
    .sort()
    .map((path) => {
      const text = readFileSync(join(root, folder, path), 'utf8')
      const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
      return { path, tree, imports: importsOf(path, tree) }
    })
}

/**
 * Static imports, re-exports, `import()` calls and `import('…')` types.
 *
 * @param {string} path
 * @param {ts.SourceFile} tree
 * @returns {Import[]}
 */
function importsOf(path, tree) {
  /** @type {Import[]} */
  const imports = []
  /** @param {ts.Expression | ts.TypeNode | undefined} specifier @param {boolean} isType */
  const add = (specifier, isType) => {
    const literal = specifier && ts.isLiteralTypeNode(specifier) ? specifier.literal : specifier
    if (!literal || !ts.isStringLiteralLike(literal)) return
    const text = literal.text
    const target = text.startsWith('.')
      ? normalize(join(dirname(path), text)).replaceAll('\\', '/')
      : undefined
    imports.push({ specifier: text, target: withExtension(target), isType, line: lineOf(tree, literal) })
  }
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], false)
    } else if (ts.isImportTypeNode(node)) {
      add(node.argument, true)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return imports
}

/**
 * AssemblyScript writes './table' where TypeScript writes './table.ts'.
 *
 * @param {string | undefined} target
 */
function withExtension(target) {
  return target === undefined || target.endsWith('.ts') ? target : `${target}.ts`
}

/**
 * @param {ts.SourceFile} tree
 * @param {ts.Node} node
 */
export function lineOf(tree, node) {
  return tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
}

/** In src/, the files that are Node's by nature; all others run everywhere. */
const nodeFiles = [
  /^tiers\/(file|lmdb|memcached)/,
  /^bus\/file/,
  /^codecs\/(compressed|encrypted|structured|xaes)/,
  // What memory tiers and in-process buses share, and what a server needs; the other backends are a directory on a disk.
  /^backends\/(?!(entries|hub|(redis|sql)-[a-z]+)\.ts$)/,
  /^cli\//,
  /^metrics\/diagnostics/,
  /^django\//,
  /^http\/adapters\/(?!(fetch|h3|hono)\.ts$)/,
  /^http\/adapters\/(?!(fetch|h3|hono|middleware|web)\.ts$)/,
  /^snapshot\/file/,
  /^request-scope/,
]

/** @param {string} path inside src/ */
export function isNodeFile(path) {
  return nodeFiles.some((pattern) => pattern.test(path))
}

/**
 * Every path git holds, or would hold if all that is not ignored were added.
 *
 * @returns {string[]}
 */
export function pathsKnownToGit() {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
  })
  return [...new Set(list.split('\0'))].filter((path) => path !== '' && existsSync(join(root, path))).sort()
}

/**
 * The files of src/ that package.json publishes as entries and programs.
 *
 * @returns {string[]}
 */
export function entryPaths() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return [...Object.values(manifest.exports).map((target) => target.default), ...Object.values(manifest.bin)]
    .filter((path) => path !== undefined)
    .map((path) => path.replace(/^(\.\/)?dist\//, '').replace(/\.js$/, '.ts'))
}

/**
 * What can be reached from `start`, each file with the file that named it first.
 *
 * @param {SourceFile[]} files
 * @param {string[]} start
 * @returns {Map<string, string | undefined>}
 */
export function closureOf(files, start) {
  const byPath = new Map(files.map((file) => [file.path, file]))
  /** @type {Map<string, string | undefined>} */
  const namedBy = new Map()
  for (const path of start) if (byPath.has(path)) namedBy.set(path, undefined)
  // A Map hands out what is added to it while it is walked.
  for (const path of namedBy.keys()) {
    for (const { target } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined && byPath.has(target) && !namedBy.has(target)) namedBy.set(target, path)
    }
  }
  return namedBy
}
