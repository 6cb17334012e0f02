import { expect, test } from 'vitest'
import { XaesGcm } from '../../../src/codecs/xaes.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

// The vectors of the C2SP specification: one key whose subkey carries in the field, one whose subkey does not.
test.each([
  [0x01, '', 'ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271'],
  [0x03, 'c2sp.org/XAES-256-GCM', '986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d'],
])('the vector with key %i', (fill, head, sealed) => {
  const cipher = new XaesGcm(new Uint8Array(32).fill(fill))
  const nonce = bytesOf('ABCDEFGHIJKLMNOPQRSTUVWX')
  const made = cipher.seal(nonce, bytesOf('XAES-256-GCM'), bytesOf(head))
  expect(hex(made)).toBe(sealed)
  expect(hex(cipher.open(nonce, made, bytesOf(head)))).toBe(hex(bytesOf('XAES-256-GCM')))
  expect(cipher.open(nonce, made, bytesOf(`${head}.`))).toBeUndefined()
})
