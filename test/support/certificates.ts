// Certificates for servers that tests start: an authority of the test's own, and what it has signed, made by openssl.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the files are, and what clients are given of them. */
export interface Certificates {
  /** Of the authority. */
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Whether openssl can be had here. Where services are required its absence fails the tests. */
export function hasOpenssl(): boolean {
  if (spawnSync('openssl', ['version']).status === 0) return true
  if (process.env.CI !== undefined || process.env.REQUIRE_SERVICES !== undefined) {
    throw new Error('openssl is not on the PATH, and the tests here must not go without it')
  }
  console.warn('SKIPPED: openssl is not on the PATH, so nothing here was tested with TLS')
  return false
}

/** Makes an authority, and a certificate for 127.0.0.1, good for a day. */
export function makeCertificates(folder: string): Certificates {
  const path = (name: string): string => join(folder, name)
  const run = (args: string): void => {
    const { status, stderr } = spawnSync('openssl', args.split(' '), { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${args}: ${stderr}`)
  }
  const newKey = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  run(`req -x509 ${newKey} -keyout ca.key -out ca.crt -days 1 -subj /CN=authority`)
  run(
    `req -x509 ${newKey} -keyout own.key -out own.crt -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE -CA ca.crt -CAkey ca.key`,
  )
  const [caFile, certFile, keyFile] = [path('ca.crt'), path('own.crt'), path('own.key')]
  const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => readFileSync(file, 'utf8'))
  return { caFile, certFile, keyFile, ca: ca as string, cert: cert as string, key: key as string }
}
