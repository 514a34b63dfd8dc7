package api

// TagResourceInput is what TagResource takes.
type TagResourceInput struct {
	ResourceArn string `query:"resourceArn" required:"true" validate:"Arn"`
	Tags        []Tag  `json:"tags" required:"true" validate:"TagList"`
}

// TagResourceOutput is what TagResource gives.
type TagResourceOutput struct{}

// UntagResourceInput is what UntagResource takes.
type UntagResourceInput struct {
	ResourceArn string   `query:"resourceArn" required:"true" validate:"Arn"`
	TagKeys     []string `json:"tagKeys" required:"true" validate:"TagKeyList"`
}

// UntagResourceOutput is what UntagResource gives.
type UntagResourceOutput struct{}

// ListTagsForResourceInput is what ListTagsForResource takes.
type ListTagsForResourceInput struct {
	ResourceArn string `query:"resourceArn" required:"true" validate:"Arn"`
}

// ListTagsForResourceOutput is what ListTagsForResource gives.
type ListTagsForResourceOutput struct {
	Tags []Tag `json:"tags"`
}

// Tag is a key with a value, which may be empty but not absent.
type Tag struct {
	Key   string  `json:"key" required:"true" validate:"TagKey"`
	Value *string `json:"value" required:"true" validate:"TagValue"`
}
