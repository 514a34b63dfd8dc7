-- The place of a step that is built elsewhere; the merge puts that in its stead.

SELECT 1;
