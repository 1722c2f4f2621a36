// Prints the verdicts of uBlock Origin's own engine on requests made from its lists' rules, and on harmless requests,
// as JSON lines.
// Usage: node expected.js FOLDER-OF-UBLOCK
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { StaticNetFilteringEngine } from '@gorhill/ubo-core';

const LISTS = {
    'easylist': 'thirdparties/easylist/easylist.txt',
    'easyprivacy': 'thirdparties/easylist/easyprivacy.txt',
    'ublock-filters': 'ublock/filters.min.txt',
    'ublock-privacy': 'ublock/privacy.min.txt',
    'ublock-badware': 'ublock/badware.min.txt',
    'ublock-quick-fixes': 'ublock/quick-fixes.min.txt',
    'ublock-unbreak': 'ublock/unbreak.min.txt',
    'urlhaus': 'thirdparties/urlhaus-filter/urlhaus-filter-online.txt',
};
// Maximum number of rules per list that requests are made from.
const SAMPLE = 300;
// Regen's names of request types, and this engine's names.
const TYPES = {
    script: 'script', image: 'image', stylesheet: 'stylesheet', font: 'font', media: 'media', object: 'object',
    subdocument: 'sub_frame', xmlhttprequest: 'xmlhttprequest', websocket: 'websocket', ping: 'ping', other: 'other',
};
const SHORT = { css: 'stylesheet', frame: 'subdocument', xhr: 'xmlhttprequest', beacon: 'ping' };
const PAGES = ['https://www.news-of-today.test/politics/', 'https://shop.example.org/cart?id=7', 'https://blog.example.net/'];

// Removes preprocessor branches that are for other blockers.
function pruned(text) {
    const branches = [];
    const holds = condition => condition.split('||').some(all => all.split('&&').every(name => {
        const bare = name.trim().replace(/^!\s*/, '');
        return ['ext_ublock', 'true'].includes(bare) !== name.trim().startsWith('!');
    }));
    return text.split('\n').filter(raw => {
        const line = raw.trim();
        if (line.startsWith('!#if ')) branches.push(holds(line.slice(5)));
        else if (line === '!#else') branches.push(!branches.pop());
        else if (line === '!#endif') branches.pop();
        else return branches.every(branch => branch);
        return false;
    }).join('\n');
}

// Returns a network rule's pattern and options; undefined if no request can be made from it.
function parsed(line) {
    if (line === '' || line.startsWith('!') || line.startsWith('[') || line.startsWith('#') || /#[@?$%^]*#/.test(line)) return;
    const rule = line.replace(/^@@/, '');
    const at = rule.search(/\$[a-z0-9~_,=|.*-]+[^/]*$/i);
    const pattern = at > 0 ? rule.slice(0, at) : rule;
    const options = at > 0 ? rule.slice(at + 1).split(',') : [];
    if (pattern.startsWith('/') && pattern.endsWith('/') && pattern.length > 1) return;
    if (!/^[\x21-\x7e]+$/.test(pattern) || pattern.replace(/[|^*]/g, '').length < 3) return;
    return { pattern, options };
}

// Returns an address that the pattern matches.
function addressOf(pattern, number) {
    let text = pattern.replace(/\|$/, '').replace(/\^$/, '/').replace(/\^/g, '/').replace(/\*/g, 'x');
    if (text.startsWith('||')) text = `https://${text.slice(2)}`.replace(/[.-]$/, '$&site.test/');
    // A bare host name stands for that host. Regen treats it so; this engine matches it anywhere in a URL.
    else if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(text)) text = `https://${text}/`;
    else if (/^\|?https?:/.test(text)) text = text.replace(/^\|/, '');
    else if (text.startsWith('://')) text = `https${text}`;
    else if (/^[.]\w/.test(text)) text = `https://cdn${number}${text}`;
    else text = `https://static${number}.example.com/${text.replace(/^\//, '')}`;
    if (/^https?:\/\/[^/]*$/.test(text)) text += '/';
    try { return new URL(text).href; } catch { return undefined; }
}

// Returns an address that differs by one letter.
function similar(address) {
    const url = new URL(address);
    url.pathname = url.pathname.replace(/([a-z])([^a-z]*)$/i, 'q$1$2');
    return url.href;
}

function requestsOf(line, number) {
    const rule = parsed(line);
    const url = rule && addressOf(rule.pattern, number);
    if (!url) return [];
    const values = name => rule.options.filter(option => option.startsWith(`${name}=`)).flatMap(option => option.slice(name.length + 1).split('|'));
    const named = [...values('domain'), ...values('from')].filter(name => /^[a-z0-9.-]+\.[a-z]+$/.test(name));
    const types = rule.options.map(option => SHORT[option] ?? option).filter(option => option in TYPES);
    const third = named.length > 0 ? `https://www.${named[0]}/` : PAGES[number % PAGES.length];
    const type = types[0] ?? Object.keys(TYPES)[number % 3];
    const other = Object.keys(TYPES).find(one => !types.includes(one) && one !== type);
    return [
        { url, page: third, type },
        { url, page: third, type: other },
        { url, page: `${new URL(url).origin}/index.html`, type },
        { url: similar(url), page: PAGES[(number + 1) % PAGES.length], type },
    ];
}

function harmless() {
    const hosts = ['www.wikipedia.test', 'cdn.example.com', 'images.news-of-today.test', 'api.shop.example.org', 'fonts.example.net', 'video.example.edu'];
    const paths = { script: '/assets/app.8f3c.js', image: '/photos/2024/05/sunrise.jpg', stylesheet: '/css/site.css', font: '/fonts/serif.woff2', media: '/clips/intro.mp4', xmlhttprequest: '/v2/articles?page=3', subdocument: '/embed/map' };
    return hosts.flatMap((host, number) => Object.entries(paths).map(([type, path]) => ({ url: `https://${host}${path}`, page: PAGES[number % PAGES.length], type })));
}

const folder = join(process.argv[2], 'assets');
const texts = Object.entries(LISTS).map(([name, file]) => ({ name, raw: pruned(readFileSync(join(folder, file), 'utf8')) }));
const engine = await StaticNetFilteringEngine.create();
await engine.useLists(texts.map(list => ({ ...list })));
const say = (list, request) => {
    const result = engine.matchRequest({ originURL: request.page, url: request.url, type: TYPES[request.type] });
    const rule = result === 0 ? '' : engine.toLogData()?.raw ?? '';
    console.log(JSON.stringify({ list, ...request, blocked: result === 1, rule }));
};
for (const { name, raw } of texts) {
    const rules = raw.split('\n').map(line => line.trim()).filter(parsed);
    const step = Math.max(1, Math.floor(rules.length / SAMPLE));
    rules.filter((_, at) => at % step === 0).slice(0, SAMPLE).forEach((line, number) => {
        requestsOf(line, number).forEach(request => say(name, request));
    });
}
harmless().forEach(request => say('harmless', request));
