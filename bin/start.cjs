/* Runs the CLI: from the sources in a checkout, from the compiled copy in an installed package. Needs Node 24 or newer. */
'use strict'
const fs = require('fs')
const path = require('path')
const { pathToFileURL } = require('url')

// Node strips types only outside node_modules, so a published package has no src/.
const source = path.join(__dirname, '..', 'src', 'cli', 'main.ts')
const compiled = path.join(__dirname, '..', 'dist', 'cli', 'main.js')

import(pathToFileURL(fs.existsSync(source) ? source : compiled).href).then(
  (cli) => cli.main(process.argv.slice(2)),
  (error) => {
    console.error(error)
    process.exit(1)
  },
)
