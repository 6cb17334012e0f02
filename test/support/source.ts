// The sources as JavaScript, for tests that start other processes: Node 20 runs no TypeScript.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const sourceFolder = fileURLToPath(new URL('../../src', import.meta.url))
const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  rewriteRelativeImportExtensions: true,
  verbatimModuleSyntax: true,
}

/**
 * Writes sources into `folder`, as modules that any Node runs.
 *
 * @param entries - Paths below `src`; what they import comes along.
 */
export function writeSource(folder: string, entries: readonly string[]): void {
  const names = new Set(entries)
  for (const fileName of names) {
    const source = readFileSync(join(sourceFolder, fileName), 'utf8')
    const { outputText } = ts.transpileModule(source, { compilerOptions, fileName })
    for (const [, specifier] of outputText.matchAll(/ from ['"](\.[^'"]+)\.js['"]/g)) {
      names.add(join(dirname(fileName), `${specifier}.ts`))
    }
    const target = join(folder, fileName.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, outputText)
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
}
