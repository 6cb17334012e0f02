/** How many times as long as in `npm test` random runs are: 1 but in `npm run test:long`. */
export const scale: number = Number(process.env.TEST_SCALE ?? 1)
