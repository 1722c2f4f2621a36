// Completion of the address bar.
import { mount } from "svelte";
import CompletionList from "./CompletionList.svelte";

/** What the user may choose. */
export interface Choices { go: (input: string) => void; switchTo: (tab: number) => void }

/** Completes what is typed in a field, with a list below it. `meant` returns the address that a text stands for. */
export const startCompletion = (field: HTMLInputElement, target: HTMLElement, choices: Choices): { meant: (text: string) => string } =>
  mount(CompletionList, { target, props: { field, target, choices } }) as { meant: (text: string) => string };
