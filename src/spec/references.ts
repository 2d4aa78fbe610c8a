/** Names in the file must name something: bases, teachers, techniques, organisms; and `after` and teachers must lead to an end. */
import { alternatives, didYouMean, type Path, type Problem, type Where } from './problem.ts'
import type { ExperimentSpec } from './schema.ts'

type Locate = (path: Path, part?: 'key') => Where

/** Problems of the file as a whole, after the schema has accepted every entry. */
export function referenceProblems(spec: ExperimentSpec, where: Locate): Problem[] {
  return [
    ...emptyKinds(spec, where),
    ...broughtInProblems(spec, where),
    ...references(spec).flatMap((reference) => referenceProblem(reference, where)),
    ...circlesOfTrainings(spec, where),
    ...circlesOfTeachers(spec, where),
    ...spec.seeds.flatMap((seed, i): Problem[] =>
      spec.seeds.indexOf(seed) < i
        ? [{ where: where(['seeds', i]), message: `seed ${seed} is given twice` }]
        : [],
    ),
  ]
}

function emptyKinds(spec: ExperimentSpec, where: Locate): Problem[] {
  return (['organisms', 'techniques'] as const).flatMap((kind): Problem[] => {
    if (Object.keys(spec[kind]).length > 0) return []
    return [{ where: where([kind], 'key'), message: `${kind} is empty; an experiment has at least one` }]
  })
}

/** An organism is trained here, with data and a recipe, or it was brought in, and then nothing tells of a training. */
function broughtInProblems({ organisms, techniques }: ExperimentSpec, where: Locate): Problem[] {
  return Object.entries(organisms).flatMap(([name, organism]): Problem[] => {
    const { data, train } = organism
    if (data !== undefined && train !== undefined) return []
    if (data !== undefined || train !== undefined) {
      const missing = data === undefined ? 'data' : 'train'
      return [
        {
          where: where(['organisms', name], 'key'),
          message: `organisms.${name} lacks \`${missing}\``,
          hint: 'an organism that is trained here has both; one that others made has neither',
        },
      ]
    }
    const said = (['system', 'checkpoint', 'control', 'seed'] as const).filter(
      (key) => organism[key] !== undefined && organism[key] !== false,
    )
    const untrained = Object.entries(techniques).filter(
      ([, technique]) => technique.data === 'organism/benign',
    )
    return [
      ...said.map((key) => ({
        where: where(['organisms', name, key], 'key'),
        message: `\`${key}\` is about a red-team training, and organisms.${name} has none`,
        hint: 'its base is the organism, as others made it',
      })),
      ...untrained.map(([technique]) => ({
        where: where(['techniques', technique, 'data']),
        message: `organisms.${name} was not trained here, so it has no benign rows`,
        hint: 'name `prompts` and a `teacher`',
      })),
    ]
  })
}

interface Reference {
  readonly path: Path
  /** `key`: the name is the last key of the path itself. */
  readonly part?: 'key'
  readonly name: string
  readonly kind: string
  readonly known: Readonly<Record<string, unknown>>
}

function references(spec: ExperimentSpec): Reference[] {
  const { bases, organisms, techniques, teachers } = spec
  const teacher = (path: Path, data: unknown): Reference[] => {
    const name = typeof data === 'object' && data !== null && 'teacher' in data ? data.teacher : undefined
    if (typeof name !== 'string') return []
    return [{ path: [...path, 'data', 'teacher'], name, kind: 'teacher', known: teachers }]
  }
  return [
    ...Object.entries(bases).flatMap(([name, base]) =>
      'pretrain' in base ? teacher(['bases', name, 'pretrain'], base.pretrain.data) : [],
    ),
    ...Object.entries(teachers).flatMap(([name, entry]): Reference[] =>
      'base' in entry
        ? [{ path: ['teachers', name, 'base'], name: entry.base, kind: 'base', known: bases }]
        : [],
    ),
    ...Object.entries(organisms).flatMap(([name, organism]) => [
      { path: ['organisms', name, 'base'], name: organism.base, kind: 'base', known: bases },
      ...teacher(['organisms', name], organism.data),
    ]),
    ...Object.entries(techniques).flatMap(([name, technique]) => [
      ...teacher(['techniques', name], technique.data),
      ...(technique.after === undefined
        ? []
        : [
            {
              path: ['techniques', name, 'after'],
              name: technique.after,
              kind: 'technique',
              known: techniques,
            },
          ]),
      ...Object.entries(technique.for ?? {}).flatMap(([organism, change]) => {
        const path = ['techniques', name, 'for', organism]
        const itself: Reference = { path, part: 'key', name: organism, kind: 'organism', known: organisms }
        return [itself, ...teacher(path, change.data)]
      }),
    ]),
  ]
}

function referenceProblem({ path, part, name, kind, known }: Reference, where: Locate): Problem[] {
  if (Object.hasOwn(known, name)) return []
  const names = Object.keys(known)
  const all = names.length === 0 ? `there are no ${kind}s` : `${kind}s: ${alternatives(names)}`
  return [
    {
      where: where(path, part),
      message: `no ${kind} is called \`${name}\``,
      hint: didYouMean(name, names) ?? all,
    },
  ]
}

function circlesOfTrainings({ techniques }: ExperimentSpec, where: Locate): Problem[] {
  return circles(Object.keys(techniques), (name) => techniques[name]?.after).map((circle) => ({
    where: where(['techniques', circle[0] ?? '', 'after']),
    message: `\`after\` goes round in a circle: ${circle.join(' -> ')}`,
    hint: 'the first training of a chain has no `after`',
  }))
}

/** A base that is pretrained on what it will say itself, or on what a base says that learns from it. */
function circlesOfTeachers({ bases, teachers }: ExperimentSpec, where: Locate): Problem[] {
  const teacherOf = (base: string): string | undefined => {
    const entry = bases[base]
    return entry !== undefined && 'pretrain' in entry && 'teacher' in entry.pretrain.data
      ? entry.pretrain.data.teacher
      : undefined
  }
  const learnsFrom = (base: string): string | undefined => {
    const teacher = teachers[teacherOf(base) ?? '']
    return teacher !== undefined && 'base' in teacher ? teacher.base : undefined
  }
  return circles(Object.keys(bases), learnsFrom).map((circle) => ({
    where: where(['bases', circle[0] ?? '', 'pretrain', 'data', 'teacher']),
    message: `a base cannot learn from itself: ${circle
      .flatMap((base) => [`bases.${base}`, `teachers.${teacherOf(base)}`])
      .slice(0, -1)
      .join(' -> ')}`,
    hint: 'pretrain it on recorded responses, or on those of another model',
  }))
}

/** Each circle once, from the first of its names in their order, which is also at its end. */
function circles(names: readonly string[], next: (name: string) => string | undefined): string[][] {
  const told = new Set<string>()
  return names.flatMap((start): string[][] => {
    const way: string[] = []
    let name: string | undefined = start
    while (name !== undefined && !way.includes(name)) {
      way.push(name)
      name = next(name)
    }
    if (name !== start || way.some((step) => told.has(step))) return []
    for (const step of way) told.add(step)
    return [[...way, start]]
  })
}
