// @ts-check
/**
 * A test of the tree itself. Each message says what to do; the reasons are in CONTRIBUTING.md and in the decision
 * on the words. File sizes are printed, not judged.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { root } from './root.js'
import { closureOf, entryPaths, isNodeFile, lineOf, pathsKnownToGit, sourceFilesOf } from './source-files.js'

/** @typedef {import('./source-files.js').SourceFile} SourceFile */

/**
 * What a name may not say, and the word for it. A pattern meets the name cut into lower-case words, so `cacheKey`
 * and `CACHE_KEY` both read `cache key`. Only names we declare are looked at: a platform may call things as it likes.
 *
 * @type {[pattern: RegExp, advice: string][]}
 */
const words = [
  [/\bitems?\b/, 'say entry'],
  [/\b(full|cache|item) keys?\b/, 'say storedKey for a key with its namespace, key for what the caller gave'],
  [/\bfetchers?\b|\bgetters?\b|\bvalue factory\b/, 'say loader'],
  [/\b(de)?serializers?\b|\b(de)?serialisers?\b|\btransformers?\b/, 'say codec'],
  [/\bbackplanes?\b|\bpubsub\b/, 'say bus'],
  [/\bproviders?\b/, 'say backend for the program behind a tier'],
  [/\bgraced?\b|\bfail safe\b/, 'say stale; the options are staleWhileRevalidate and staleIfError'],
  [/\bpurge[ds]?\b|\bclean ?up\b/, 'say prune for reclaiming what has expired, clear or delete for the rest'],
  [/\bbust(ed|er)?\b/, 'say invalidate'],
  [/\bdedupe[ds]?\b|\bcoalesced?\b/, 'say single flight'],
  [/\bidx\b|\bpos\b/, 'say slot for an entry record, index for a place in a list, at for an address'],
  [/^max$|\bmax size\b/, 'say maxEntries or maxBytes: a limit has a unit'],
  [/\bttl (seconds|secs|sec|s)\b/, 'say ttlMs: inside, time is in milliseconds'],
]

/**
 * The same for types and classes.
 *
 * @type {typeof words}
 */
const typeWords = [
  ...words,
  [/ (manager|service|helper|impl)$/, 'name the thing by what it holds or does'],
  [/^(abstract|base|i) /, 'name the contract by its bare noun and the implementation by its backend'],
]

/** Names that people bring along from Django and look for here. */
const carriedOver = new Set(['CacheKeyWarning', 'InvalidCacheKey'])

const drawers = /^(utils?|helpers?|common|shared|types|constants|internal|misc)$/

/** Time and chance come in through these two files, so that a test can hold both. */
const ports = ['clock.ts', 'random.ts']
const portNames = new Set(['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'])
/** A turn of the loop is not time, so where there is always Node it may be waited for. */
const nodePortNames = new Set(['setTimeout', 'setInterval', 'queueMicrotask'])
const portMembers = new Set([
  'AbortSignal.timeout',
  'Date.now',
  'Math.random',
  'performance.now',
  'process.hrtime',
])
const globals = new Set(['globalThis', 'self', 'window'])

/** @type {string[]} */
const problems = []
const src = sourceFilesOf('src')
const assembly = sourceFilesOf('assembly')

for (const file of src) checkNames('src', file)
for (const file of assembly) checkNames('assembly', file)
for (const file of src) if (!ports.includes(file.path)) checkPorts(file)
for (const file of src) checkDocstrings(file)
checkReach()
checkErrorPages()
checkGuides()
checkTree()

for (const problem of problems) console.error(problem)
printSizes()
console.log(`${src.length + assembly.length} files, ${problems.length} pieces of advice`)
process.exitCode = problems.length === 0 ? 0 : 1

/**
 * @param {string} folder
 * @param {SourceFile} file
 */
function checkNames(folder, { path, tree }) {
  for (const part of path.replace(/\.ts$/, '').split('/')) {
    const advice = drawers.test(part) ? 'name the idea; a drawer has none' : adviceFor(part, typeWords)
    if (advice !== undefined) problems.push(`${folder}/${path}: the name '${part}': ${advice}`)
  }
  /** @param {ts.Node} node */
  const visit = (node) => {
    const name = declaredName(node)
    const advice =
      name === undefined || carriedOver.has(name.text)
        ? undefined
        : adviceFor(name.text, isType(node) ? typeWords : words)
    if (name !== undefined && advice !== undefined) {
      problems.push(`${folder}/${path}:${lineOf(tree, name)}: the name '${name.text}': ${advice}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
}

/** @param {ts.Node} node */
function isType(node) {
  return ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)
}

/**
 * @param {string} name
 * @param {typeof words} table
 */
function adviceFor(name, table) {
  const cut = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .replace(/[^A-Za-z0-9]+/g, ' ')
    .trim()
    .toLowerCase()
  return table.find(([pattern]) => pattern.test(cut))?.[1]
}

/**
 * The identifier a declaration introduces.
 *
 * @param {ts.Node} node
 * @returns {ts.Identifier | ts.PrivateIdentifier | undefined}
 */
function declaredName(node) {
  const declares =
    ts.isVariableDeclaration(node) ||
    ts.isParameter(node) ||
    ts.isBindingElement(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isMethodSignature(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isPropertySignature(node) ||
    ts.isGetAccessorDeclaration(node)
  if (!declares || node.name === undefined) return undefined
  return ts.isIdentifier(node.name) || ts.isPrivateIdentifier(node.name) ? node.name : undefined
}

/** @param {SourceFile} file */
function checkPorts({ path, tree }) {
  const names = isNodeFile(path) ? nodePortNames : portNames
  /** @param {ts.Node} node @param {string} what */
  const report = (node, what) =>
    problems.push(
      `src/${path}:${lineOf(tree, node)}: ${what}: take a Clock or a Random and ask it, so that a test can hold it`,
    )
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(node.expression)) {
      const member = `${node.expression.text}.${node.name.text}`
      if (portMembers.has(member)) report(node, member)
      if (globals.has(node.expression.text) && names.has(node.name.text)) report(node, member)
    } else if (ts.isNewExpression(node) && node.expression.getText(tree) === 'Date') {
      if ((node.arguments?.length ?? 0) === 0) report(node, 'new Date()')
    } else if (ts.isIdentifier(node) && names.has(node.text) && isReference(node)) {
      report(node, node.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
}

/**
 * Whether the identifier stands for the global of that name, not for a member or a declaration.
 *
 * @param {ts.Identifier} node
 */
function isReference(node) {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node
  return !('name' in parent && parent.name === node)
}

/** @param {SourceFile} file */
function checkDocstrings({ path, tree }) {
  const text = tree.text
  const described = new Set()
  for (const statement of tree.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined
    if (!modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue
    const names = ts.isVariableStatement(statement)
      ? statement.declarationList.declarations.map(({ name }) => name.getText(tree))
      : [/** @type {ts.DeclarationStatement} */ (statement).name?.getText(tree) ?? 'default']
    const comments = ts.getLeadingCommentRanges(text, statement.pos) ?? []
    const last = comments.at(-1)
    const hasDocstring = last !== undefined && text.startsWith('/**', last.pos)
    for (const name of names) {
      // The first overload carries the docstring for all.
      if (hasDocstring) described.add(name)
      else if (!described.has(name)) {
        problems.push(
          `src/${path}:${lineOf(tree, statement)}: ${name} has no docstring; say what its signature cannot`,
        )
      }
    }
  }
}

/** Every file must be reachable from something that is published or built. */
function checkReach() {
  const reached = closureOf(src, entryPaths())
  for (const { path } of src) {
    if (!reached.has(path))
      problems.push(`src/${path}: no entry of package.json reaches it; use it or remove it`)
  }
  const built = closureOf(assembly, ['index.ts', 'strings.ts', 'testing.ts', 'debug.ts'])
  for (const { path } of assembly) {
    if (!built.has(path))
      problems.push(`assembly/${path}: no build of the core reaches it; use it or remove it`)
  }
  for (const entry of entryPaths()) {
    if (!src.some(({ path }) => path === entry)) {
      problems.push(`package.json: exports names dist/ of src/${entry}, which does not exist`)
    }
  }
}

/** An error code is public: someone will search for it. */
function checkErrorPages() {
  const errors = src.find(({ path }) => path === 'errors.ts')
  const page = join(root, 'docs/reference/errors.md')
  const headings = existsSync(page) ? readFileSync(page, 'utf8').match(/^#+ .*$/gm) : null
  const codes = new Set(errors?.tree.text.match(/'CACHE_[A-Z_]+'/g)?.map((code) => code.slice(1, -1)))
  for (const code of codes) {
    if (!headings?.some((heading) => heading.split(/[^A-Z_]+/).includes(code))) {
      problems.push(`docs/reference/errors.md: give ${code} a heading: when it happens and what to do`)
    }
  }
}

/** A guide to a feature has one shape, so that a reader knows where to look. */
function checkGuides() {
  const shape = [
    'What goes wrong without it',
    'The smallest example',
    'What happens, step by step',
    'Options, with defaults',
    'Under failure',
    'Cost',
  ]
  for (const path of pathsKnownToGit().filter((each) => each.startsWith('docs/guide/'))) {
    const headings = [...readFileSync(join(root, path), 'utf8').matchAll(/^## (.+)$/gm)].map(
      ([, text = '']) => text,
    )
    // Pages about a promise, a move or a framework are no guides to a feature.
    if (!shape.slice(0, 2).every((heading) => headings.includes(heading))) continue
    const own = headings.filter((heading) => shape.includes(heading))
    if (own.join() !== shape.join()) {
      problems.push(`${path}: give it these headings, in this order: ${shape.join(' · ')}`)
    }
  }
}

/** What is true of every file git holds. */
function checkTree() {
  const made = /^(build|dist|coverage)\/|(^|\/)node_modules\/|\.(wasm|tgz|tsbuildinfo)$/
  const code = /\.(ts|js|mjs|sh)$|^\.ci\/run$/
  const text = /\.(ts|js|mjs|json|md|sh|html|yml|txt)$|(^|\/)\.[a-z]+$|^\.ci\/run$|^LICENSE$/
  const postponed = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME'].join('|')})\\b(?!\\s*\\(?#\\d)`)
  const machine = /(?<![\w.-])\/(work|root|home|Users)\/\w|(?<![\w.-])\/tmp\/spec|\bC:\\Users\\/
  const registry = /\bregistry\.[a-z]+\.[a-z]+|\bdeb\.[a-z]+\.org/
  for (const path of pathsKnownToGit()) {
    if (made.test(path)) problems.push(`${path}: is made by a script; git rm --cached it and ignore it`)
    // Others' work, kept as it is.
    if (!text.test(path) || path.startsWith('test/conformance/suites/cache-tests-')) continue
    readFileSync(join(root, path), 'utf8')
      .split('\n')
      .forEach((line, index) => {
        const where = `${path}:${index + 1}`
        const word = code.test(path) ? postponed.exec(line)?.[1] : undefined
        if (word !== undefined)
          problems.push(`${where}: ${word} without an issue; finish it, or write ${word} #123`)
        const host = registry.exec(line)?.[0]
        if (host !== undefined)
          problems.push(`${where}: ${host} is one machine's way to packages; name the package alone`)
        const place = machine.exec(line)?.[0]
        if (place !== undefined)
          problems.push(`${where}: ${place}… is a place on one machine; derive the path`)
      })
  }
}

function printSizes() {
  /** @param {SourceFile} file */
  const lines = ({ tree }) => tree.text.split('\n').length - 1
  const sized = [
    ...src.map((file) => ({ path: `src/${file.path}`, lines: lines(file) })),
    ...assembly.map((file) => ({ path: `assembly/${file.path}`, lines: lines(file) })),
  ].sort((a, b) => b.lines - a.lines)
  const total = sized.reduce((sum, file) => sum + file.lines, 0)
  console.log(`${total} lines; the longest files:`)
  for (const file of sized.slice(0, 8)) console.log(`${String(file.lines).padStart(6)}  ${file.path}`)
}
