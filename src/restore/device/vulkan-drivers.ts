/** Vulkan's loader takes no other drivers than those these name; the second is the older name. */
const NAMES = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'];
/** The manifests of Mesa's and Google's renderers in software. */
const SOFTWARE = '*lvp*,*swiftshader*';

/** Whether the environment names Vulkan's drivers: whoever did that means them, also those that are no GPU's. */
export function driversNamed(): boolean {
  return NAMES.some((name) => process.env[name]);
}

/**
 * Hides the renderers in software that this host has beside, or instead of, its GPU's driver: they would pass every
 * check but the last, after minutes of compiling. A loader older than 1.3.234 ignores it, and they lose in that check.
 * For the main thread: what others write into process.env no library sees.
 */
export function hideSoftwareVulkan(): void {
  if (!driversNamed()) process.env.VK_LOADER_DRIVERS_DISABLE ??= SOFTWARE;
}
