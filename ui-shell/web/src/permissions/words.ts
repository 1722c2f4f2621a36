// Words for the rights that pages ask for.
import type { ChromePermissionKind } from "../bindings";

/** What a page wants to do, after the name of its site. */
export const WANTS: Record<ChromePermissionKind, string> = {
  location: "wants to know where you are",
  microphone: "wants to use the microphone",
  camera: "wants to use the camera",
  notifications: "wants to show notifications",
  clipboard: "wants to read what you copied",
  pointerLock: "wants to take the pointer",
  storageAccess: "wants to use cookies of its own here",
  autoplay: "wants to play sound by itself",
};

/** Names of the rights in lists. */
export const NAMES: Record<ChromePermissionKind, string> = {
  location: "Location",
  microphone: "Microphone",
  camera: "Camera",
  notifications: "Notifications",
  clipboard: "Reading the clipboard",
  pointerLock: "Pointer lock",
  storageAccess: "Storage of embedded sites",
  autoplay: "Sound by itself",
};
