"""What the pages of an evaluation share: style sheet, figures, films, and how a page is made."""
