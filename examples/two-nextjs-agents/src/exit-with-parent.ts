// Loaded into each app before Next.js: however the program ends that started it, the app does not go on without it.
process.once('disconnect', () => process.exit());
