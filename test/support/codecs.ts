// What this runtime can compress with; Node has zstd from 22.15 on.

import * as zlib from 'node:zlib'
import type { CompressionAlgorithm } from '../../src/codecs/compressed.ts'

export function algorithmsHere(): CompressionAlgorithm[] {
  if ('zstdCompressSync' in zlib) return ['deflate', 'brotli', 'zstd']
  console.warn('SKIPPED: this runtime has no zstd, so nothing here was compressed with it')
  return ['deflate', 'brotli']
}
