import fc from 'fast-check'

/** What random tests start from: `SEED` of the environment, or another one each run. */
export const seed: number = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

/** Checks a property from `seed`; what fails names the seed, and runs again with `SEED=…`. */
export function holds<Values extends [unknown, ...unknown[]]>(
  property: fc.IProperty<Values>,
  parameters: fc.Parameters<Values> = {},
): void {
  try {
    fc.assert(property, { seed, ...parameters })
  } catch (error) {
    throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error })
  }
}
