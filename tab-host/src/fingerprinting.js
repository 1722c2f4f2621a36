// Fingerprinting resistance: a canvas or audio readback identifies the machine. Its low bits are disturbed, differently
// in each document and invisibly. All reads are disturbed, because harmless ones cannot be told apart here.
(() => {
    const bits = new Uint32Array(1);
    crypto.getRandomValues(bits);
    let state = bits[0] | 1;
    const next = () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return state >>> 0;
    };
    const first = next();
    // The same picture always reads the same, so that a page cannot detect the noise by comparing two reads.
    const disturb = data => {
        let seed = first;
        for (let at = 0; at < data.length; at += 4) {
            seed = Math.imul(seed ^ data[at] ^ (data[at + 1] << 8) ^ (data[at + 2] << 16), 0x9e3779b1) ^ (seed >>> 15);
            // Fully transparent pixels stay unchanged.
            if (data[at + 3] !== 0 && (seed & 63) === 0) data[at + ((seed >>> 8) % 3)] ^= 1;
        }
    };
    const { apply } = Reflect;
    const replace = (prototype, name, make) => {
        const descriptor = prototype && Object.getOwnPropertyDescriptor(prototype, name);
        if (!descriptor) return;
        // To the page, the proxy looks like the original function.
        const made = new Proxy(descriptor.value, { apply: (own, self, given) => make(self, given, own) });
        Object.defineProperty(prototype, name, { ...descriptor, value: made });
    };
    const readers = [globalThis.CanvasRenderingContext2D, globalThis.OffscreenCanvasRenderingContext2D];
    const read = readers.map(of => of && of.prototype.getImageData);
    for (const of of readers) {
        replace(of && of.prototype, 'getImageData', (context, given, own) => {
            const image = apply(own, context, given);
            disturb(image.data);
            return image;
        });
    }
    // Encode a disturbed copy, so that the page's own canvas stays unchanged.
    const copied = canvas => {
        const { width, height } = canvas;
        if (!width || !height) return canvas;
        const isOffscreen = globalThis.OffscreenCanvas && canvas instanceof OffscreenCanvas;
        const copy = isOffscreen ? new OffscreenCanvas(width, height) : document.createElement('canvas');
        copy.width = width;
        copy.height = height;
        const context = copy.getContext('2d');
        context.drawImage(canvas, 0, 0);
        const image = apply(read[isOffscreen ? 1 : 0], context, [0, 0, width, height]);
        disturb(image.data);
        context.putImageData(image, 0, 0);
        return copy;
    };
    const written = (canvas, given, own) => {
        let copy = canvas;
        // A canvas that may not be read throws in `own`, as it would without this script.
        try { copy = copied(canvas); } catch { copy = canvas; }
        return apply(own, copy, given);
    };
    replace(HTMLCanvasElement.prototype, 'toDataURL', written);
    replace(HTMLCanvasElement.prototype, 'toBlob', written);
    replace(globalThis.OffscreenCanvas && OffscreenCanvas.prototype, 'convertToBlob', written);
    // Audio samples reveal how this machine computes sound. Nothing else needs them so exactly.
    const sound = data => {
        for (let at = 0; at < data.length; at++) data[at] *= 1 + ((first >>> (at % 16)) & 255) * 1e-8;
    };
    const heard = new WeakSet();
    replace(globalThis.AudioBuffer && AudioBuffer.prototype, 'getChannelData', (buffer, given, own) => {
        const data = apply(own, buffer, given);
        if (!heard.has(data)) {
            heard.add(data);
            sound(data);
        }
        return data;
    });
    for (const name of ['getFloatFrequencyData', 'getFloatTimeDomainData']) {
        replace(globalThis.AnalyserNode && AnalyserNode.prototype, name, (node, given, own) => {
            apply(own, node, given);
            if (given[0]) sound(given[0]);
        });
    }
    // The installed voices identify the machine.
    replace(globalThis.SpeechSynthesis && SpeechSynthesis.prototype, 'getVoices', () => []);
})();
