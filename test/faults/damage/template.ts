/** Hostile chat templates: loops without end, texts that explode. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Damage, template } from './edit.ts'

/** A text that doubles so many times. */
const doubling = (times: number): string =>
  `{% set ns = namespace(t='xy') %}{% for i in range(${times}) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}`
const refused = /its chat template is refused/

export const ofTemplate: Damage[] = [
  {
    name: 'a template that cannot be parsed',
    spoil: template('{% for %}{{ "'),
    says: /its chat template cannot be parsed/,
  },
  {
    name: 'loops in loops',
    spoil: template(`${'{% for i in range(9999) %}'.repeat(6)}${'{% endfor %}'.repeat(6)}`),
    says: refused,
  },
  { name: 'a huge range', spoil: template('{% for i in range(4000000000) %}{% endfor %}'), says: refused },
  {
    name: 'a range that goes nowhere',
    spoil: template('{% for i in range(0, 9, 0) %}{% endfor %}'),
    says: refused,
  },
  {
    name: 'a macro that calls itself',
    spoil: template('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'),
    says: refused,
  },
  {
    name: 'a macro that calls itself twice',
    spoil: template(
      '{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}',
    ),
    says: refused,
  },
  { name: 'a text that doubles', spoil: template(`${doubling(40)}{{ ns.t }}`), says: refused },
  {
    name: 'a text of capitals that doubles',
    spoil: template(
      "{% set ns = namespace(t='ß') %}{% for i in range(40) %}{% set ns.t = (ns.t ~ ns.t).upper() %}{% endfor %}",
    ),
    says: refused,
  },
  {
    name: 'lists of lists',
    spoil: template(
      '{% set ns = namespace(t=[1]) %}{% for i in range(40) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.t | tojson }}',
    ),
    says: refused,
  },
  {
    name: 'lists that grow',
    spoil: template(
      '{% set ns = namespace(t=[1]) %}{% for i in range(40) %}{% set ns.t = ns.t + ns.t %}{% endfor %}',
    ),
    says: refused,
  },
  {
    name: 'a namespace within itself',
    spoil: template('{% set ns = namespace(a=1) %}{% set ns.b = ns %}{{ ns | tojson }}'),
    says: refused,
  },
  {
    name: 'an indent of a gigabyte',
    spoil: template("{{ 'a\nb' | indent(500000000, true) }}"),
    says: refused,
  },
  {
    name: 'JSON indented by a gigabyte',
    spoil: template('{{ messages | tojson(indent=500000000) }}'),
    says: refused,
  },
  {
    name: 'every letter replaced by a text',
    spoil: template(`${doubling(14)}{{ ns.t.replace('x', ns.t) }}`),
    says: refused,
  },
  {
    name: 'a text joined by itself',
    spoil: template(`${doubling(14)}{{ ns.t | join(ns.t) }}`),
    says: refused,
  },
  {
    name: 'a text cut into letters',
    spoil: template(`${doubling(17)}{{ ns.t.split('y') | length }}`),
    says: refused,
  },
  {
    name: 'a search in a long text, over and over',
    spoil: template(`${doubling(18)}{% for i in range(9999) %}{% if 'z' in ns.t %}{% endif %}{% endfor %}`),
    says: refused,
  },
  { name: 'white space without end', spoil: template(`{{ 1 }}${' '.repeat(2e5)}{{ 2 }}`), says: refused },
  {
    name: 'brackets without end',
    spoil: template(`{{ ${'('.repeat(1e5)} }}`),
    says: /its chat template (is refused|cannot be parsed)/,
  },
  { name: 'a template of megabytes', spoil: template('x'.repeat(3e6)), says: refused },
  {
    name: 'a template of more megabytes',
    spoil: template('x'.repeat(9e6)),
    says: /has 9000000 bytes, at most/,
  },
  {
    name: 'a template that is a folder',
    spoil: (folder) => mkdir(join(folder, 'chat_template.jinja')).then(() => undefined),
    says: /chat_template.jinja: is a folder/,
  },
]
