// Asks one spoken question through Google's SDK, and prints as JSON what came back.
// Arguments: the model, and a file of PCM (16 bits, mono, 16 kHz). All else comes from the environment.

import {readFileSync} from 'node:fs';
import {GoogleGenAI, Modality} from '@google/genai';

const [model, file] = process.argv.slice(2);
const speech = readFileSync(file);
const CHUNK_BYTES = 640;

const got = {audioBytes: 0, mimeTypes: [], input: '', output: '', generationComplete: false, turnComplete: false, tokens: 0};
const end = Promise.withResolvers?.() ?? deferred();

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, {resolve, reject}));
  return made;
}

function take(message) {
  const content = message.serverContent ?? {};
  for (const part of content.modelTurn?.parts ?? []) {
    got.audioBytes += Buffer.from(part.inlineData.data, 'base64').length;
    if (!got.mimeTypes.includes(part.inlineData.mimeType)) got.mimeTypes.push(part.inlineData.mimeType);
  }
  got.input += content.inputTranscription?.text ?? '';
  got.output += content.outputTranscription?.text ?? '';
  got.generationComplete ||= content.generationComplete ?? false;
  got.tokens += message.usageMetadata?.totalTokenCount ?? 0;
  if (content.turnComplete) {
    got.turnComplete = true;
    end.resolve();
  }
}

// Named, as the newest SDK for Node 18 (1.0.0) reads no GEMINI_API_KEY by itself.
const session = await new GoogleGenAI({apiKey: process.env.GEMINI_API_KEY}).live.connect({
  model,
  config: {responseModalities: [Modality.AUDIO], inputAudioTranscription: {}, outputAudioTranscription: {}},
  callbacks: {
    onmessage: take,
    onerror: (event) => end.reject(new Error(event.message)),
    onclose: (event) => end.reject(new Error(`closed with ${event.code} ${event.reason}`)),
  },
});
for (let start = 0; start < speech.length; start += CHUNK_BYTES) {
  const data = speech.subarray(start, start + CHUNK_BYTES).toString('base64');
  session.sendRealtimeInput({audio: {data, mimeType: 'audio/pcm;rate=16000'}});
}
await end.promise;
session.close();
console.log(JSON.stringify(got));
