package format

// WalkTarGzWithin is WalkTarGz with bounds a test can reach.
var WalkTarGzWithin = walkTarGz
