package message

// Read returns the forms of each format in a language's file.
func Read(language string) (map[string]map[string]string, error) {
	content, err := files.ReadFile("catalogue/" + language + ".toml")
	if err != nil {
		return nil, err
	}
	read, err := parse(language, content)
	if err != nil {
		return nil, err
	}
	forms := make(map[string]map[string]string, len(read.entries))
	for format, entry := range read.entries {
		forms[format] = entry.forms
	}
	return forms, nil
}

// Parse tells what is wrong with the content of a file.
func Parse(language string, content []byte) error {
	_, err := parse(language, content)
	return err
}
