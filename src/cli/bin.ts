#!/usr/bin/env node
// What `npx tierwheel` starts: the command line of this process, with its folder's packages.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { main } from './main.ts'

const own = createRequire(join(process.cwd(), 'package.json'))

process.exitCode = await main(process.argv.slice(2), {
  say: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
  env: process.env,
  // Clients are those of the project in the current folder: the package has no dependency of its own.
  load: async (name) =>
    (await import(name.startsWith('node:') ? name : pathToFileURL(own.resolve(name)).href)) as object,
})
