"""The best channel dies in the middle of a sale and says nothing: who still gets to pay?"""
