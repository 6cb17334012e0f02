// @ts-check
/** workerd, the engine of Cloudflare Workers, driven by miniflare. A worker is bundled, as its tools would do. */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/**
 * @param {string} folder
 * @returns {Promise<import('./smoke.js').Report | undefined>}
 */
export async function smokeOnWorkerd(folder) {
  const miniflare = await import('miniflare').catch(() => undefined)
  if (miniflare === undefined) return undefined
  const { build } = await import('esbuild')
  const { metafile } = await build({
    absWorkingDir: folder,
    entryPoints: ['worker.js'],
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    conditions: ['workerd'],
    // The import of core.wasm stays an import: workerd compiles the file when it is deployed.
    loader: { '.wasm': 'copy' },
    outdir: join(folder, 'worker'),
    metafile: true,
  })
  const worker = new miniflare.Miniflare({
    // The first is where it starts.
    modules: Object.keys(metafile.outputs)
      .map((path) => ({
        type: typeOf(path),
        path: basename(path),
        contents: readFileSync(join(folder, path)),
      }))
      .sort((a, b) => Number(b.type === 'ESModule') - Number(a.type === 'ESModule')),
    compatibilityDate: '2026-04-01',
    cf: false,
  })
  try {
    const response = await worker.dispatchFetch('http://worker.test/')
    const text = await response.text()
    if (!response.ok) throw new Error(text)
    return JSON.parse(text)
  } finally {
    await worker.dispose()
  }
}

/**
 * @param {string} path
 * @returns {'CompiledWasm' | 'ESModule'}
 */
function typeOf(path) {
  return path.endsWith('.wasm') ? 'CompiledWasm' : 'ESModule'
}
